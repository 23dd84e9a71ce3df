//go:build race

package e2e

// buildFlags make stickyd watch for data races as the tests do.
var buildFlags = []string{"-race"}
