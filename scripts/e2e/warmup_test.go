package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A worker that serves at once, but holds its readiness back, gets no client
// before it is warm, neither at the start nor in place of another.
func TestWorkerThatWarmsUpGetsNoClientBefore(t *testing.T) {
	warm := filepath.Join(t.TempDir(), "warm")
	control := filepath.Join(socketDir(t), "control.sock")
	s := start(t, worker("warms-up", warm), "-n", "1", "--min-ready", "0s", "--control", control)
	s.await("worker output", func(e event) bool { return e.str("line") == "warming up" })
	first := s.getMeanwhile("/whoami")
	touch(t, warm)
	if r := await(t, first); r.status != 200 {
		t.Errorf("who came before it was warm: status %d", r.status)
	}
	old := s.await("worker ready", nil).num("pid")

	shut(t, warm)
	restart := askMeanwhile(t, "restart", control)
	s.awaitN(2, "worker output", func(e event) bool { return e.str("line") == "warming up" })
	for range 10 {
		if r := s.mustGet("/whoami"); r.PID != old {
			t.Errorf("worker %d got a client before it was warm", r.PID)
		}
	}
	if w := askStatus(t, control).Workers; len(w) != 2 || w[1].State != "starting" {
		t.Errorf("workers %+v", w)
	}
	touch(t, warm)
	restart.ends(0)
	if r := s.mustGet("/whoami"); r.PID == old {
		t.Error("the old worker serves still")
	}
}

func TestWorkerThatNeverWarmsUpIsToldWhy(t *testing.T) {
	s := start(t, worker("warms-up", filepath.Join(t.TempDir(), "never")), "-n", "1", "--start-timeout", "300ms")
	if e := s.await("worker is not ready in time, killing it", nil); !strings.Contains(e.str("hint"), "HoldReady") {
		t.Errorf("the hint is %q", e.str("hint"))
	}
}
