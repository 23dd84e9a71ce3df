package e2e

import (
	"syscall"
	"testing"
)

// patient is a stickyd that waits for ever for what it waits for: with it a test
// that ends has not waited.
var patient = []string{"--drain-timeout", "1h", "--stop-timeout", "1h"}

// What it leaves behind has as much time as a worker, and no more.
func TestServerUnderAShellThatStaysIsKilled(t *testing.T) {
	command := append([]string{"sh", "-c", `"$@"; true`, "sh"}, worker("stubborn")...)
	s, pids := startReady(t, 1, command, "--drain-timeout", "50ms", "--stop-timeout", "300ms")
	server := childrenOf(t, pids[1])
	child := childOf(s, pids[1])
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
	s.await("worker's process has ended, what it started may finish", nil)
	s.await("worker did not stop in time, killing it", nil)
	if len(server) != 1 || alive(server[0].pid) || alive(child) {
		t.Errorf("of %v and %d there is something left", server, child)
	}
}

// A worker that dies unasked takes all of its group with it at once: a replacement
// may need what they hold.
func TestServerUnderAShellThatCrashesIsKilled(t *testing.T) {
	command := append([]string{"sh", "-c", `"$@"; true`, "sh"}, worker("stubborn")...)
	s, pids := startReady(t, 1, command, append(patient, "--hang-timeout", "0")...)
	server := childrenOf(t, pids[1])
	child := childOf(s, pids[1])
	syscall.Kill(pids[1], syscall.SIGKILL)
	awaitEnd(t, "what the shell had started", server[0].pid, child)
	s.await("worker ready", func(e event) bool { return e.num("pid") != pids[1] })
	s.killNow()
}
