package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// More workers are ready when it is said that they are; those that are too many
// keep their sessions until they end.
func TestScale(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s", "--balance", "round-robin")
	l := s.startUse(s.beginSessions(2))
	mustAsk(t, "scale", control, "4")
	now := pidsOf(askStatus(t, control))
	if len(now) != 4 || now[1] != pids[1] || now[2] != pids[2] {
		t.Errorf("workers %v, before %v", now, pids)
	}
	mustAsk(t, "scale", control, "-1")
	if now := pidsOf(askStatus(t, control)); len(now) != 3 || now[4] != 0 {
		t.Errorf("one less than four are %v", now)
	}
	mustAsk(t, "scale", control, "+1")
	owners := s.beginSessions(8)
	last := owners[0]
	for _, owner := range owners {
		if owner.Slot == 4 {
			last = owner
		}
	}
	down := askMeanwhile(t, "scale", control, "2")
	for _, owner := range owners {
		if owner.Slot == 3 {
			s.mustGet("/end?sid=" + owner.SID)
		}
	}
	down.says("waiting for 1 worker with ")
	st := askStatus(t, control)
	if w := workerWith(st, last.PID); last.Slot != 4 || w == nil || w.State != "draining" || w.Sessions == 0 {
		t.Errorf("the worker of %+v is %+v", last, w)
	}
	for _, fresh := range s.beginSessions(6) {
		if fresh.Slot > 2 {
			t.Errorf("worker %d, which drains, got a new session", fresh.Slot)
		}
	}
	s.checkSessions([]reply{last})
	s.endSessionsOf(last.PID, owners)
	down.ends(0)
	l.goesOn(3)
	l.end()
	checkUntouchedWorkers(t, control, pids)
	for _, tt := range []struct{ n, want string }{{"1025", "may be 1 to 1024"}, {"-2", "may be 1 to 1024"}, {"0", "too few"}} {
		if status, out := ask(t, "scale", control, tt.n); status == 0 || !strings.Contains(out, tt.want) {
			t.Errorf("scale %s: exit status %d: %s", tt.n, status, out)
		}
	}
}

// A number that was scaled to holds until a reload brings another.
func TestScaleAndReload(t *testing.T) {
	_, _, control, f := startFromFile(t, nil)
	is := func(want int) {
		t.Helper()
		if now := pidsOf(askStatus(t, control)); len(now) != want {
			t.Errorf("workers %v, want %d", now, want)
		}
	}
	f.workers = len(pidsOf(askStatus(t, control)))
	mustAsk(t, "scale", control, "+2")
	f.more["drain_timeout"] = "19s"
	f.write()
	mustAsk(t, "reload", control)
	is(f.workers + 2)
	f.workers++
	f.write()
	mustAsk(t, "reload", control)
	is(f.workers)
}

// A worker that does not get ready is not kept.
func TestScaleUpThatFails(t *testing.T) {
	_, pids, control, gate := gated(t, 2, "--start-timeout", "300ms")
	shut(t, gate)
	status, out := ask(t, "scale", control, "3")
	if status != 1 || !strings.Contains(out, "scaling stopped: new worker 3 failed: not ready in time") || !strings.Contains(out, "There are 2 workers, as before") {
		t.Errorf("exit status %d: %s", status, out)
	}
	checkUntouched(t, control, pids, 0)
	touch(t, gate)
	mustAsk(t, "scale", control, "+1")
	if now := pidsOf(askStatus(t, control)); len(now) != 3 || now[1] != pids[1] || now[2] != pids[2] || now[3] == 0 {
		t.Errorf("workers %v, before %v", now, pids)
	}
}

func TestScaleBySignals(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s")
	done := func(what string) {
		t.Helper()
		s.await("done", func(e event) bool { return e.str("what") == what })
	}
	s.signal(syscall.SIGTTIN)
	done("one worker more")
	if now := pidsOf(askStatus(t, control)); len(now) != 3 {
		t.Errorf("workers %v", now)
	}
	s.signal(syscall.SIGTTOU)
	done("one worker less")
	checkUntouched(t, control, pids, 0)
	s.signal(syscall.SIGTTOU)
	s.awaitN(2, "done", func(e event) bool { return e.str("what") == "one worker less" })
	s.signal(syscall.SIGTTOU)
	if e := s.await("request of a signal failed", nil); !strings.Contains(e.str("err"), "may be 1 to 1024") {
		t.Error("the last one was taken away: ", e.str("err"))
	}
	if now := pidsOf(askStatus(t, control)); len(now) != 1 || now[1] != pids[1] {
		t.Errorf("workers %v, before %v", now, pids)
	}
}

// A slot that was drained stays empty, over an upgrade, too, until it is
// restarted.
func TestDrainAndRestartOfASlot(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s", "--balance", "round-robin")
	owners := s.beginSessions(2)
	of := func(slot int) reply {
		if owners[0].Slot == slot {
			return owners[0]
		}
		return owners[1]
	}
	drain := askMeanwhile(t, "drain", control, "1")
	drain.says("waiting for 1 worker with 1 session")
	s.checkSessions(owners)
	for _, fresh := range s.beginSessions(4) {
		if fresh.Slot != 2 {
			t.Error("the worker that drains got a new session")
		}
	}
	s.mustGet("/end?sid=" + of(1).SID)
	drain.ends(0)
	resting := func() {
		t.Helper()
		st := askStatus(t, control)
		if w := st.Workers[0]; len(st.Workers) != 2 || w.Slot != 1 || w.State != "drained" || w.PID != 0 || alive(pids[1]) {
			t.Errorf("workers %+v", st.Workers)
		}
	}
	resting()
	mustAsk(t, "upgrade", control)
	resting()
	if status, out := ask(t, "drain", control, "2"); status != 1 || !strings.Contains(out, "worker 2 is the only one that is ready") {
		t.Errorf("exit status %d: %s", status, out)
	}
	mustAsk(t, "restart", control, "1")
	now := pidsOf(askStatus(t, control))
	if len(now) != 2 || now[2] != pids[2] || now[1] == pids[1] {
		t.Errorf("workers %v, before %v", now, pids)
	}
	s.checkSessions([]reply{of(2)})
}
