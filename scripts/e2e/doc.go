// Package e2e tests the whole program: a stickyd binary, worker processes,
// sockets and signals, all real. The test binary itself plays the workers.
package e2e
