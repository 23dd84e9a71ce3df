package supervisor

import "testing"

func scaleIn(op *Operation, n int) (func() error, error) {
	return op.Resize(n, true, func(string) {})
}

// What signals ask for while an operation is under way is added up, and done when
// that has ended.
func TestTurnsAreAddedUp(t *testing.T) {
	s, c := runSupervisor(t, 1, nil)
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	tally := Tally{Operation: "scaling", Limit: MaxWorkers}
	if !tally.Add(1) {
		t.Error("somebody waits already")
	}
	ended := asked(func() error { return s.InTurn(&tally, scaleIn) })
	for _, n := range []int{1, -1, 1} {
		if tally.Add(n) {
			t.Error("nobody waits")
		}
	}
	select {
	case err := <-ended:
		t.Fatal("it did not wait: ", err)
	default:
	}
	op.End()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if len(s.Status()) != 3 || len(c.of(3)) != 1 {
		t.Errorf("%+v", s.Status())
	}
	if !tally.Add(-1) {
		t.Error("the next one would have nobody who waits")
	}
	if err := s.InTurn(&tally, scaleIn); err != nil || s.wanted() != 2 {
		t.Error(err, s.wanted())
	}
}

func TestTallyHasALimit(t *testing.T) {
	tally := Tally{Limit: 2}
	for range 5 {
		tally.Add(1)
	}
	if n := tally.Take(); n != 2 {
		t.Error(n)
	}
	for range 5 {
		tally.Add(-1)
	}
	if n := tally.Take(); n != -2 {
		t.Error(n)
	}
}

// Whose turn has not come when supervision is frozen waits for who goes on.
func TestTurnsOutliveAFreeze(t *testing.T) {
	r := newRelay(t, 1, func(int, string) {})
	s := r.now
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	tally := Tally{Operation: "scaling", Limit: MaxWorkers}
	tally.Add(1)
	ended := asked(func() error { return s.InTurn(&tally, scaleIn) })
	next := r.resume(r.freezeIn(op))
	if err := <-ended; err != ErrFrozen {
		t.Error("it ended with ", err)
	}
	if n := tally.Take(); n != 1 {
		t.Errorf("%d are left", n)
	}
	r.run(next)
	r.stop()
}

func TestTurnsEndWithEverything(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	op, err := s.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	tally := Tally{Operation: "scaling", Limit: MaxWorkers}
	tally.Add(1)
	ended := asked(func() error { return s.InTurn(&tally, scaleIn) })
	s.Stop()
	if err := <-ended; err != ErrStopping {
		t.Error("it ended with ", err)
	}
	op.End()
}
