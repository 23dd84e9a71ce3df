package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWorkersAreReplacedWhenTheirFilesChange(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	touch(t, source)
	s, pids := startReady(t, 2, worker("app"), "--watch", dir, "--min-ready", "0s")
	sid := s.mustGet("/handshake").SID
	if err := os.WriteFile(source, []byte("another program"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.await("files have changed, replacing the workers", nil)
	for slot, pid := range pids {
		s.awaitN(2, "worker ready", func(e event) bool { return e.num("slot") == slot })
		s.await("worker drains: it keeps its sessions and gets no new ones", func(e event) bool { return e.num("pid") == pid })
	}
	if r := s.mustGet("/handshake"); r.PID == pids[1] || r.PID == pids[2] {
		t.Error("a new session began at an old worker")
	}
	if r := s.mustGet("/use?sid=" + sid); r.PID != pids[1] && r.PID != pids[2] {
		t.Error("an old session went elsewhere")
	}
}

// A worker that has had enough is replaced, and nobody notices.
func TestWorkerThatHasHadEnoughConnectionsIsReplaced(t *testing.T) {
	s, pids := startReady(t, 1, worker("app"), "--recycle-connections", "20", "--min-ready", "0s")
	for range 20 {
		s.mustGet("/whoami")
	}
	if e := s.await("recycling a worker", nil); e.str("why") != "it has had 20 connections" {
		t.Errorf("why: %s", e.str("why"))
	}
	s.await("worker stopped", func(e event) bool { return e.num("pid") == pids[1] })
	if r := s.mustGet("/whoami"); r.PID == pids[1] {
		t.Error("it serves still")
	}
}
