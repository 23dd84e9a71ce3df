package supervisor

import (
	"strings"
	"testing"
	"time"
)

// asked begins something that is to be cancelled, and returns its outcome.
func asked(f func() error) (outcome chan error) {
	outcome = make(chan error, 1)
	go func() { outcome <- f() }()
	return outcome
}

// awaitHeir returns when an heir has a process that does not get ready.
func awaitHeir(t *testing.T, s *Supervisor, n int) {
	t.Helper()
	eventually(t, "an heir", func() bool {
		for _, sl := range s.Status() {
			if sl.Slot == n && sl.OnTrial && sl.PID != 0 {
				return true
			}
		}
		return false
	})
}

// use has workers that are started from now on be of another kind.
func use(s *Supervisor, kind string) {
	l := launchOf(kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = &l
}

func expectEnd(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("it ended with %v, want %s", err, want)
	}
}

func TestCancelOfARestartKeepsWhatWasReplaced(t *testing.T) {
	s, c := runSupervisor(t, 3, nil)
	before := pids(s)
	use(s, "hangs-in-slot-2")
	ended := asked(func() error { return s.Restart(Rollout{MaxUnready: -1}, func(string) {}) })
	awaitHeir(t, s, 2)
	var said said
	if err := s.Cancel(said.say); err != nil {
		t.Fatal(err)
	}
	if now := s.Operation(); now != "" {
		t.Error("still under way: ", now)
	}
	const outcome = "cancelled by stickyd cancel; 1 of 3 workers are new; stickyd restart 2 3 does the rest"
	expectEnd(t, <-ended, outcome)
	said.is(t, "cancelling rolling restart: worker 2: starting the new one (1 of 3 replaced)", "rolling restart was "+outcome)
	if !c.log.has(`msg="operation cancelled" operation="rolling restart"`) || !c.log.has(`reason="`+outcome+`"`) {
		t.Errorf("the log has only %s", &c.log.text)
	}
	eventually(t, "the end of the heir", func() bool { return len(s.Status()) == 3 })
	if now := pids(s); now[1] == before[1] || now[2] != before[2] || now[3] != before[3] {
		t.Errorf("workers %v, before %v", now, before)
	}
	use(s, "serves")
	if err := s.Restart(Rollout{Slots: []int{2, 3}, MaxUnready: -1}, func(string) {}); err != nil {
		t.Error("nothing can follow: ", err)
	}
}

// Who wanted some to be restarted is not told to restart all.
func TestCancelOfARestartOfSome(t *testing.T) {
	s, c := runSupervisor(t, 3, nil)
	use(s, "never-ready")
	ended := asked(func() error { return s.Restart(Rollout{Slots: []int{3, 2}, MaxUnready: -1}, func(string) {}) })
	awaitHeir(t, s, 2)
	if err := s.Cancel(func(string) {}); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, <-ended, "cancelled by stickyd cancel; 0 of 2 workers are new; stickyd restart 2 3 does the rest")
	if c.of(1)[0].retired.Load() {
		t.Error("worker 1 was replaced")
	}
}

// What clients have of an heir by then they keep.
func TestCancelDrainsAnHeirThatServes(t *testing.T) {
	s, c := runSupervisor(t, 1, func(l *Limits) { l.MinReady = time.Hour })
	old := c.of(1)[0]
	ended := asked(func() error { return s.Restart(Rollout{MaxUnready: -1}, func(string) {}) })
	eventually(t, "a ready heir", func() bool { return len(c.of(1)) == 2 })
	heir := c.of(1)[1]
	heir.sessions.Store(1)
	if err := s.Cancel(func(string) {}); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, <-ended, "cancelled by stickyd cancel; 0 of 1 workers are new; stickyd restart does the rest")
	if !heir.retired.Load() || old.retired.Load() {
		t.Error("it is not the heir that gets no new sessions")
	}
	select {
	case <-heir.gone:
		t.Error("the heir's session was lost")
	default:
	}
	if sl := s.holder(1); sl == nil || sl.status.Load().Generation != 1 {
		t.Error("the old worker does not have the slot")
	}
	heir.sessions.Store(0)
	<-heir.gone
	eventually(t, "the end of the heir", func() bool { return len(s.Status()) == 1 })
}

func TestCancelOfAScaleUpTakesItBack(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	use(s, "hangs-in-slot-2")
	ended := asked(func() error { return s.Scale(3, false, func(string) {}) })
	awaitHeir(t, s, 2)
	eventually(t, "the third", func() bool { return s.Operation() == "scaling: 1 of 2 new workers are ready" })
	var said said
	if err := s.Cancel(said.say); err != nil {
		t.Fatal(err)
	}
	const outcome = "cancelled by stickyd cancel; 1 worker as before"
	expectEnd(t, <-ended, outcome)
	said.is(t, "cancelling scaling: 1 of 2 new workers are ready", "scaling was "+outcome)
	eventually(t, "one slot", func() bool { return len(s.Status()) == 1 })
	if s.wanted() != 1 {
		t.Errorf("%d workers are wanted", s.wanted())
	}
}

// Of several steps those that come later are not begun.
func TestCancelOfAnOperationOfSeveralSteps(t *testing.T) {
	s, _ := runSupervisor(t, 2, nil)
	op, err := s.Begin("reload")
	if err != nil {
		t.Fatal(err)
	}
	l := launchOf("hangs-in-slot-2")
	adopted := asked(func() error {
		_, err := op.Adopt(&l, func(string) {})
		return err
	})
	awaitHeir(t, s, 2)
	var said said
	cancelled := asked(func() error { return s.Cancel(said.say) })
	expectEnd(t, <-adopted, "cancelled by stickyd cancel; 1 of 2 workers are new; stickyd reload does the rest, stickyd restart takes it back")
	select {
	case <-cancelled:
		t.Error("it did not wait for the end")
	default:
	}
	_, err = op.Resize(1, false, func(string) {})
	expectEnd(t, err, "cancelled by stickyd cancel; 2 workers as before")
	op.End()
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
	if n := s.wanted(); n != 2 {
		t.Errorf("%d workers are wanted", n)
	}
	said.is(t, "cancelling reload: worker 2: starting the new one (1 of 2 replaced)", "reload was cancelled by stickyd cancel; "+
		"1 of 2 workers are new; stickyd reload does the rest, stickyd restart takes it back; 2 workers as before")
}

func TestCancelOfNothing(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	var said said
	if err := s.Cancel(said.say); err != nil {
		t.Error(err)
	}
	said.is(t, "nothing is under way")
}

// Who still sees another command wait is told that this is no operation.
func TestCancelBesideWorkersThatDrain(t *testing.T) {
	s, c := runSupervisor(t, 3, nil)
	for n := 2; n <= 3; n++ {
		c.of(n)[0].sessions.Store(1)
	}
	ended := asked(func() error { return s.Scale(1, false, func(string) {}) })
	eventually(t, "workers that drain", func() bool { return s.Operation() == "" && s.Status()[2].State == draining.String() })
	var said said
	if err := s.Cancel(said.say); err != nil {
		t.Error(err)
	}
	said.is(t, "nothing is under way that can be cancelled; 2 workers still drain, see stickyd status")
	for _, one := range append(c.of(2), c.of(3)...) {
		one.sessions.Store(0)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What reached its end while somebody cancelled it was not cancelled.
func TestCancelThatComesTooLate(t *testing.T) {
	s, c := runSupervisor(t, 1, nil)
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	var said said
	cancelled := asked(func() error { return s.Cancel(said.say) })
	<-op.Context().Done()
	op.End()
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
	said.is(t, "cancelling upgrade", "upgrade ended before it could be cancelled")
	if c.log.has("operation cancelled") {
		t.Error("the log says that it was cancelled")
	}
}

func TestCancelOfWhatIsCommitted(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Commit(); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, s.Cancel(func(string) {}), "it is too late to cancel what is under way: upgrade")
	if op.Context().Err() != nil {
		t.Error("it was cancelled")
	}
	if err := s.Scale(2, false, func(string) {}); err == nil || strings.Contains(err.Error(), "cancel") {
		t.Error("who wants something else is told ", err)
	}
	op.End()
}

func TestCommitOfWhatIsCancelled(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	cancelled := asked(func() error { return s.Cancel(func(string) {}) })
	<-op.Context().Done()
	expectEnd(t, op.Commit(), "cancelled by stickyd cancel; nothing has changed")
	op.End()
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
}

func TestCancelOfTheEnd(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	s.Stop()
	expectEnd(t, s.Cancel(func(string) {}), "stickyd is stopping, which cannot be cancelled")
}

// Who may not begin hears of what is under way, how far it is, and what ends it.
func TestRefusalSaysWhatToDo(t *testing.T) {
	s, _ := runSupervisor(t, 2, nil)
	use(s, "never-ready")
	ended := asked(func() error { return s.Restart(Rollout{MaxUnready: -1}, func(string) {}) })
	awaitHeir(t, s, 1)
	err := s.Scale(2, false, func(string) {})
	if err == nil || !strings.HasPrefix(err.Error(), "another operation is under way: rolling restart: worker 1: starting the new one (0 of 2 replaced), for ") ||
		!strings.HasSuffix(err.Error(), "s; try again when it has ended, or end it with stickyd cancel") {
		t.Error(err)
	}
	if err := s.Cancel(func(string) {}); err != nil {
		t.Error(err)
	}
	<-ended
}
