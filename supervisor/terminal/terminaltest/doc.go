// Package terminaltest opens terminals for tests.
package terminaltest
