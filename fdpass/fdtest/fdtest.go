// Package fdtest takes descriptors away in tests.
package fdtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Exhaust leaves the process that many descriptors (getrlimit(2), RLIMIT_NOFILE) until
// restore is called. No other test may run meanwhile.
func Exhaust(t testing.TB, left int) (restore func()) {
	t.Helper()
	var usual unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	free, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free) // it is the lowest number that is free
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free + left), Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &usual) }
}
