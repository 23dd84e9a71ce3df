package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/supervisor/admin"
)

// A version is the program that workers are from now on: one that crashes some
// time after it is ready, or, if that is "", a good one.
type version struct {
	t    *testing.T
	path string
}

func (v version) is(crashes string) {
	v.t.Helper()
	if err := os.WriteFile(v.path, []byte(crashes), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// versioned returns the command of workers of a good version.
func versioned(t *testing.T) (v version, command []string) {
	v = version{t, filepath.Join(t.TempDir(), "version")}
	v.is("")
	return v, worker("version", v.path)
}

// endSessions ends them, wherever they are.
func (s *server) endSessions(owners []reply) {
	s.t.Helper()
	for _, owner := range owners {
		s.mustGet("/end?sid=" + owner.SID)
	}
}

// stoppedByACrash checks what a command said of a restart that a new worker has
// stopped.
func stoppedByACrash(t *testing.T, status int, out string, also ...string) {
	t.Helper()
	for _, want := range append(also, "restart stopped: new worker ", " crashed (exit status 1). ", " slots run the new version", "its last lines:\n    no such table\n") {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if status != 1 || t.Failed() {
		t.Errorf("exit status %d: %s", status, out)
	}
}

// A version whose workers crash when they have stood their trial is not taken for
// a good one as long as the restart goes on: while others are on trial, or while
// old workers drain.
func TestRestartToAVersionThatCrashesLater(t *testing.T) {
	for _, tt := range []struct {
		name              string
		workers           int
		sessions          bool // old workers have some
		flags             []string
		minReady, crashes string
	}{
		{"one worker with sessions", 1, true, nil, "200ms", "700ms"},
		{"two without", 2, false, nil, "1s", "1250ms"},
		{"two with sessions", 2, true, nil, "200ms", "1s"},
		{"four without", 4, false, nil, "1s", "1250ms"},
		{"four without, two at a time", 4, false, []string{"--parallel", "2"}, "1s", "1250ms"},
		{"four with sessions, two at a time", 4, true, []string{"--parallel", "2"}, "200ms", "1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, command := versioned(t)
			s, pids, control := controlled(t, tt.workers, command, "--min-ready", tt.minReady, "--balance", "round-robin")
			var owners []reply
			if tt.sessions {
				owners = s.beginSessions(tt.workers)
			}
			v.is(tt.crashes)
			status, out := ask(t, "restart", control, tt.flags...)
			stoppedByACrash(t, status, out, "\nwhen it is fixed: stickyd restart\n")
			s.await("operation failed", func(e event) bool {
				return e.str("operation") == "rolling restart" && strings.Contains(out, e.str("reason"))
			})
			s.checkSessions(owners)
			if !tt.sessions {
				all := askStatus(t, control).Workers
				last := slices.IndexFunc(all, func(w admin.Worker) bool { return w.PID == pids[tt.workers] })
				if last < 0 || all[last].State != "ready" {
					t.Errorf("the last worker was touched: %+v", all)
				}
			}

			v.is("") // the way back
			back := askMeanwhile(t, "restart", control)
			s.awaitN(tt.workers, "worker drains: it keeps its sessions and gets no new ones", nil)
			s.endSessions(owners)
			back.ends(0)
			st := askStatus(t, control)
			for _, w := range st.Workers {
				if w.State != "ready" || w.Generation != 3 || !w.Next.IsZero() {
					t.Errorf("after the way back: %+v", w)
				}
			}
			if len(st.Workers) != tt.workers {
				t.Errorf("%d workers", len(st.Workers))
			}
		})
	}
}

// The same of what reloads and upgrades, and of what files that change, bring
// about.
func TestChangeToAVersionThatCrashesLater(t *testing.T) {
	for _, verb := range []string{"reload", "upgrade"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			s, _, control, f := startFromFile(t, map[string]any{"min_ready": "200ms", "balance": "round-robin"})
			owners := s.beginSessions(2)
			v, command := versioned(t)
			v.is("1s")
			f.command = command
			f.write()
			status, out := ask(t, verb, control)
			stoppedByACrash(t, status, out)
			if verb == "upgrade" && !strings.Contains(out, "the new program runs, but") {
				t.Errorf("it does not say that the new program runs: %s", out)
			}
			if _, events := ask(t, "events", control); !strings.Contains(events, `msg="operation failed" operation=reload`) {
				t.Errorf("events: %s", events)
			}
			s.checkSessions(owners)
		})
	}
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		v, command := versioned(t)
		s, _ := startReady(t, 1, command, "--watch", filepath.Dir(v.path), "--min-ready", "200ms")
		owners := s.beginSessions(1)
		v.is("1s")
		e := s.await("operation failed", nil)
		stoppedByACrash(t, 1, e.str("reason"))
		s.checkSessions(owners)
	})
}
