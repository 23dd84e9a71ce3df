package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// awaitHolder returns the process of the worker that has slot n once it is ready
// and of that generation.
func awaitHolder(t *testing.T, s *Supervisor, n, generation int) (pid int) {
	t.Helper()
	eventually(t, fmt.Sprint("a ready worker in slot ", n), func() bool {
		sl := s.holder(n)
		if sl == nil {
			return false
		}
		now := sl.status.Load()
		pid = now.PID
		return now.State == ready.String() && now.Generation == generation
	})
	return pid
}

// A rolling restart is watched until it is over: a new worker that crashes
// behind its trial stops it, wherever it is by then, and no other slot is touched.
func TestCrashBehindTheTrialStopsTheRestart(t *testing.T) {
	for _, tt := range []struct {
		name            string
		workers         int
		parallel        int
		sessions        bool   // old workers have some
		kind            string // of the new ones
		new             []int  // slots that get one before one crashes
		victim          int
		now, again      string
		slots           []int // of the restart
		noLongerTouched []int
	}{
		{name: "one worker, whose old one drains", workers: 1, sessions: true, kind: "another", new: []int{1}, victim: 1,
			now: "1 of 1 slots run the new version, and 1 old worker still drains", again: "stickyd restart"},
		{name: "two, of which the second is on trial", workers: 2, kind: "hangs-in-slot-2", new: []int{1}, victim: 1,
			now: "1 of 2 slots run the new version", again: "stickyd restart", noLongerTouched: []int{2}},
		{name: "two, whose old ones drain", workers: 2, sessions: true, kind: "another", new: []int{1, 2}, victim: 2,
			now: "2 of 2 slots run the new version, and 2 old workers still drain", again: "stickyd restart"},
		{name: "four, one at a time", workers: 4, kind: "hangs-in-slot-3", new: []int{1, 2}, victim: 1,
			now: "2 of 4 slots run the new version", again: "stickyd restart", noLongerTouched: []int{3, 4}},
		{name: "four, two at a time", workers: 4, parallel: 2, kind: "hangs-in-slot-2", new: []int{1, 3, 4}, victim: 3,
			now: "3 of 4 slots run the new version", again: "stickyd restart", noLongerTouched: []int{2}},
		{name: "some of them", workers: 4, sessions: true, kind: "another", new: []int{2, 4}, victim: 4,
			now: "2 of 2 slots run the new version, and 2 old workers still drain", again: "stickyd restart 2 4", slots: []int{4, 2}, noLongerTouched: []int{1, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := runSupervisor(t, tt.workers, nil)
			before := pids(s)
			for n := range tt.workers {
				if tt.sessions {
					c.of(n + 1)[0].sessions.Store(1)
				}
			}
			use(s, tt.kind)
			ended := asked(func() error {
				return s.Restart(Rollout{Slots: tt.slots, Parallel: tt.parallel, MaxUnready: -1}, func(string) {})
			})
			pid := 0
			for _, n := range tt.new {
				if got := awaitHolder(t, s, n, 2); n == tt.victim {
					pid = got
				}
			}
			eventually(t, "the end of old workers without sessions", func() bool {
				old := 0
				for _, sl := range s.Status() {
					if sl.Generation == 1 {
						old++
					}
				}
				return tt.sessions || old == len(tt.noLongerTouched)
			})
			syscall.Kill(pid, syscall.SIGKILL)
			want := fmt.Sprintf("restart stopped: new worker %[1]d crashed (signal: killed). %[2]s; its last lines:\n    worker of slot %[1]d\n"+
				"when it is fixed: %[3]s", tt.victim, tt.now, tt.again)
			expectEnd(t, <-ended, want)
			if !c.log.has(`level=ERROR msg="operation failed" operation="rolling restart" after=`) {
				t.Errorf("the log has only %s", &c.log.text)
			}
			if now := awaitHolder(t, s, tt.victim, 2); now == pid {
				t.Error("the worker that crashed was not started again")
			}
			for _, n := range tt.noLongerTouched {
				if c.of(n)[0].retired.Load() || awaitHolder(t, s, n, 1) != before[n] {
					t.Errorf("worker %d was touched", n)
				}
			}
			for _, sl := range s.Status() {
				if sl.Generation == 1 && !slices.Contains(tt.noLongerTouched, sl.Slot) && (sl.State != draining.String() || sl.PID != before[sl.Slot]) {
					t.Errorf("an old worker with sessions: %+v", sl)
				}
				if sl.OnTrial {
					eventually(t, "the end of who is on trial", func() bool { return len(c.of(sl.Slot)) == 1 })
				}
			}
		})
	}
}

// So many may crash, each as often as it likes.
func TestCrashesThatARestartTolerates(t *testing.T) {
	s, _ := runSupervisor(t, 3, nil)
	use(s, "hangs-in-slot-2")
	ended := asked(func() error { return s.Restart(Rollout{Parallel: 2, MaxUnready: 1}, func(string) {}) })
	crash := func(n int) {
		t.Helper()
		pid := awaitHolder(t, s, n, 2)
		syscall.Kill(pid, syscall.SIGKILL)
		eventually(t, "another process", func() bool { return awaitHolder(t, s, n, 2) != pid })
	}
	awaitHolder(t, s, 3, 2)
	crash(1)
	crash(1)
	if now := s.Operation(); !strings.HasPrefix(now, "rolling restart: ") {
		t.Errorf("under way is %q", now)
	}
	crash(3)
	expectEnd(t, <-ended, "restart stopped: new worker 3 crashed (signal: killed), after 1 other one. 2 of 3 slots run the new version; "+
		"its last lines:\n    worker of slot 3\nwhen it is fixed: stickyd restart")
}

// A new worker that another operation has replaced is no longer this one's.
func TestRestartDoesNotWatchWhatIsReplacedAgain(t *testing.T) {
	s, c := runSupervisor(t, 1, nil)
	oldest := c.of(1)[0]
	oldest.sessions.Store(1)
	ended := asked(func() error { return s.Restart(Rollout{MaxUnready: -1}, func(string) {}) })
	second := awaitHolder(t, s, 1, 2)
	eventually(t, "the end of the first operation", func() bool { return s.Operation() == "" && len(c.of(1)) == 2 })
	c.of(1)[1].sessions.Store(1)
	again := asked(func() error { return s.Restart(Rollout{MaxUnready: -1}, func(string) {}) })
	awaitHolder(t, s, 1, 3)
	eventually(t, "the end of the second operation", func() bool { return s.Operation() == "" })
	syscall.Kill(second, syscall.SIGKILL)
	if err := <-again; err != nil {
		t.Error("the second restart: ", err)
	}
	oldest.sessions.Store(0)
	if err := <-ended; err != nil {
		t.Error("the first restart: ", err)
	}
}

// A configuration that all slots have is in effect, whatever crashes later.
func TestCrashBehindAChangeSaysWhatToDo(t *testing.T) {
	s, c := runSupervisor(t, 2, nil)
	c.of(1)[0].sessions.Store(1)
	c.of(2)[0].sessions.Store(1)
	l := launchOf("another")
	wait, err := adoptLaunch(s, &l, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(awaitHolder(t, s, 2, 2), syscall.SIGKILL)
	err = wait()
	if err == nil || !strings.HasPrefix(err.Error(), "restart stopped: new worker 2 crashed (signal: killed). 2 of 2 slots run the new version, and 2 old workers still drain; ") ||
		!strings.HasSuffix(err.Error(), "\nwhen it is fixed: stickyd restart, or stickyd reload for another configuration") {
		t.Error(err)
	}
	if s.current != &l {
		t.Error("the new configuration is not in effect")
	}
}

// A scale up is watched until all new workers are ready.
func TestCrashBehindTheTrialStopsAScaleUp(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	use(s, "hangs-in-slot-3")
	ended := asked(func() error { return s.Scale(3, false, func(string) {}) })
	syscall.Kill(awaitHolder(t, s, 2, 1), syscall.SIGKILL)
	expectEnd(t, <-ended, "scaling stopped: new worker 2 crashed (signal: killed). There is 1 worker, as before; "+
		"its last lines:\n    worker of slot 2\nwhen it is fixed: stickyd scale 3")
	eventually(t, "one slot", func() bool { return len(s.Status()) == 1 })
}

// What comes behind a scale up may take longer; its workers are watched.
func TestCrashBehindAScaleUpIsTold(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	use(s, "another")
	op, err := s.Begin("reload")
	if err != nil {
		t.Fatal(err)
	}
	defer op.End()
	wait, err := op.Resize(2, false, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	pid := awaitHolder(t, s, 2, 1)
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "another process", func() bool { return awaitHolder(t, s, 2, 1) != pid })
	expectEnd(t, wait(), "scaling stopped: new worker 2 crashed (signal: killed). There are 2 workers all the same; "+
		"its last lines:\n    worker of slot 2\nwhen it is fixed: stickyd scale 2")
}

// A slot that waits before its next start, and is replaced, says that it will not
// start one, and nothing shows a start any more.
func TestReplacedSlotAnnouncesNoStart(t *testing.T) {
	s, c := runSupervisor(t, 1, nil)
	sl := s.holder(1)
	sl.tell(func() { sl.deaths = 9 })
	syscall.Kill(sl.status.Load().PID, syscall.SIGKILL)
	eventually(t, "a planned start", func() bool { return !s.Status()[0].Next.IsZero() })
	if !c.log.has(`msg="worker will be started again" slot=1 in=`) {
		t.Errorf("the log has only %s", &c.log.text)
	}
	if err := s.Restart(Rollout{MaxUnready: -1}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for _, sl := range s.Status() {
		if !sl.Next.IsZero() {
			t.Errorf("a start is planned: %+v", sl)
		}
	}
	if !c.log.has(`msg="worker is not started again: its slot has another worker, or is to have none" slot=1`) {
		t.Errorf("the log has only %s", &c.log.text)
	}
}
