package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An Operation changes which workers there are. One is under way at a time; but
// the workers that it has replaced may drain while the next one goes on. Its
// methods are for who has begun it.
type Operation struct {
	s       *Supervisor
	name    string
	since   time.Time
	release func()          // of hold
	ended   chan struct{}   // closed by End
	ctx     context.Context // done: it is to give up
	cancel  context.CancelFunc

	background bool  // nobody asked for it
	givenUp    error // why it did, and what is left to do; nil: it has not; others look when it has ended

	// Guarded by underWay.
	says      string
	committed bool // it can't give up any more
}

// underWay is the operation that is, nil if none is.
type underWay struct {
	mu  sync.Mutex
	now *Operation
}

// ErrStopping is what ends an operation that stickyd's end came before.
var ErrStopping = errors.New("stickyd is stopping")

// errUpgraded ends a wait for draining workers.
var errUpgraded = errors.New("stickyd is being upgraded; old workers go on draining and new ones are no longer watched, see stickyd status")

// Begin starts an operation of that name, unless another one is under way, which
// the error names. End must follow.
func (s *Supervisor) Begin(name string) (*Operation, error) {
	return s.begin(&Operation{name: name}, false)
}

// begin starts op once Run has started the slots (what is added before would be
// started twice), and when an operation is over that nobody asked for; if it
// comes in its turn, also when any other is over.
func (s *Supervisor) begin(op *Operation, inTurn bool) (*Operation, error) {
	<-s.begun
	for {
		now, err := s.tryBegin(op, inTurn)
		if err != nil {
			return nil, err
		}
		if now == op {
			return op, nil
		}
		select {
		case <-now.ended:
		case <-s.stopping.Done():
			return nil, ErrStopping
		}
	}
}

// tryBegin returns the operation that is under way, which is op if it could begin.
// To wait for another one is an error, unless nobody asked for that or op comes in
// its turn.
func (s *Supervisor) tryBegin(op *Operation, inTurn bool) (now *Operation, err error) {
	s.underWay.mu.Lock()
	defer s.underWay.mu.Unlock()
	if now := s.underWay.now; now != nil {
		if !inTurn && !now.background {
			return nil, now.refusal()
		}
		return now, nil
	}
	if op.release, err = s.hold(); err != nil {
		return nil, err
	}
	op.s, op.since, op.ended = s, time.Now(), make(chan struct{})
	op.ctx, op.cancel = context.WithCancel(context.Background())
	s.underWay.now = op
	return op, nil
}

// refusal is the error of another operation that can't begin because of this one.
func (op *Operation) refusal() error {
	way := "or end it with stickyd cancel"
	if op.committed {
		way = "stickyd status shows it"
	}
	return fmt.Errorf("another operation is under way: %s, for %v; try again when it has ended, %s",
		op.text(), time.Since(op.since).Round(time.Second), way)
}

// text says what it is and how far.
func (op *Operation) text() string {
	if op.says == "" {
		return op.name
	}
	return op.name + ": " + op.says
}

// age is for how long it has been under way.
func (op *Operation) age() time.Duration { return time.Since(op.since).Round(time.Millisecond) }

// End lets others begin.
func (op *Operation) End() {
	op.logCancelled()
	op.cancel() // frees what the context has
	u := &op.s.underWay
	u.mu.Lock()
	u.now = nil
	u.mu.Unlock()
	close(op.ended)
	op.release()
}

// hold keeps Run from returning until done is called.
func (s *Supervisor) hold() (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen.Err() != nil {
		return nil, ErrFrozen
	}
	if s.over || s.stopping.Err() != nil {
		return nil, ErrStopping
	}
	s.running.Add(1)
	return s.running.Done, nil
}

// Operation says what is under way, "" for nothing.
func (s *Supervisor) Operation() string {
	s.underWay.mu.Lock()
	defer s.underWay.mu.Unlock()
	if s.underWay.now == nil {
		return ""
	}
	return s.underWay.now.text()
}

// Generation is the newest one that there is, or was begun.
func (s *Supervisor) Generation() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// Say tells who waits for the operation, and who asks for it, how far it is.
func (op *Operation) Say(to func(string), format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	op.s.underWay.mu.Lock()
	op.says = text
	op.s.underWay.mu.Unlock()
	to(text)
}

// awaitPause is the time between two looks of who waits for workers to drain.
var awaitPause = time.Second // tests have less of it

// vacating returns awaitVacated for the slots, with Run held until it has been
// called. It is called before an operation ends.
func (s *Supervisor) vacating(ctx context.Context, slots []*slot, whose string, say func(string)) (wait func() error, err error) {
	release, err := s.hold()
	if err != nil {
		return nil, err
	}
	return func() error {
		defer release()
		return s.awaitVacated(ctx, slots, whose, say)
	}, nil
}

// awaitVacated returns when none of the slots has a process any more, or when ctx
// is done. What it waits for it says at first, and when that has changed; whose the
// processes are is "old worker", or the like.
func (s *Supervisor) awaitVacated(ctx context.Context, slots []*slot, whose string, say func(string)) error {
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for said := (Remainder{}); len(slots) > 0; {
		select {
		case <-slots[0].vacated:
			slots = slots[1:]
		case <-tick.C:
			if now := remaining(slots); now != said && now.Workers > 0 {
				said = now
				say(now.text(whose))
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping.Done():
			return ErrStopping
		case <-s.frozen.Done():
			return errUpgraded
		}
	}
	return nil
}
