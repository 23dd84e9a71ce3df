package e2e

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// Requests that no worker can take do not hold up the end of stickyd if their clients
// are gone, and free their places before that where it is certain.
func TestWhoIsGoneHoldsUpNothing(t *testing.T) {
	control := socketDir(t) + "/control.sock"
	s := start(t, worker("never-ready"), "--workers", "1", "--control", control,
		"--queue-timeout", "10m", "--drain-timeout", "10m", "--start-timeout", "1h", "--stop-timeout", "0s")
	counted := func(what string, accepted, abandoned int64) {
		t.Helper()
		eventually(t, what, func() bool {
			c := askStatus(t, control).Counters
			return c.Accepted == accepted && c.Abandoned == abandoned
		})
	}
	reset := s.openWith(1, whoami)[0].(*net.TCPConn)
	counted("a client waits", 1, 0)
	reset.SetLinger(0)
	reset.Close()
	counted("its place is free", 1, 1)

	for _, conn := range s.openWith(2, whoami) { // as curl --max-time, that has had enough
		conn.Close()
	}
	half := s.openWith(1, whoami)[0].(*net.TCPConn)
	half.CloseWrite()
	counted("three more came", 4, 1)
	s.signal(syscall.SIGINT)
	if answer, err := io.ReadAll(half); !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") || !strings.Contains(string(answer), "the server is stopping") {
		t.Errorf("got %q, %v", answer, err)
	}
	if status := s.wait(); status != 0 { // long before the clients' and the workers' time is over
		t.Error("exit status", status)
	}
}
