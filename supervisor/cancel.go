package supervisor

import (
	"context"
	"errors"
	"fmt"
)

// ErrCancelled is what an operation ends with that Cancel has ended.
var ErrCancelled = errors.New("cancelled by stickyd cancel")

// Cancel has the operation under way give up at the next safe point: what it has
// changed stays, but for workers that it has only tried. Cancel returns when the
// operation has ended, and says what it came to; there may be none. What can't be
// cancelled is an error.
func (s *Supervisor) Cancel(say func(string)) error {
	if s.stopping.Err() != nil {
		return errors.New("stickyd is stopping, which cannot be cancelled")
	}
	op, text, err := s.cancel()
	if err != nil {
		return err
	}
	if op == nil {
		say(s.nothingToCancel())
		return nil
	}
	say("cancelling " + text)
	select {
	case <-op.ended:
	case <-s.stopping.Done():
		return ErrStopping
	}
	if op.givenUp == nil {
		say(op.name + " ended before it could be cancelled")
	} else {
		say(op.name + " was " + op.givenUp.Error())
	}
	return nil
}

// nothingToCancel says so, and what may have been taken for an operation: a command
// that has replaced workers, or scaled down, waits still.
func (s *Supervisor) nothingToCancel() string {
	n := 0
	for _, sl := range s.Status() {
		if sl.State == draining.String() || sl.State == finishing.String() {
			n++
		}
	}
	if n == 0 {
		return "nothing is under way"
	}
	return "nothing is under way that can be cancelled; " + counted(n, "worker still drains", "workers still drain") +
		", see stickyd status"
}

// cancel tells the operation under way to give up. text is how far it was.
func (s *Supervisor) cancel() (op *Operation, text string, err error) {
	s.underWay.mu.Lock()
	defer s.underWay.mu.Unlock()
	op = s.underWay.now
	switch {
	case op == nil:
		return nil, "", nil
	case op.committed:
		return nil, "", fmt.Errorf("it is too late to cancel what is under way: %s", op.text())
	}
	op.cancel()
	return op, op.text(), nil
}

// Context returns one that is done when the operation is to give up, when all
// comes to its end, which waits for it, and when it has ended.
func (op *Operation) Context() context.Context {
	ctx, cancel := context.WithCancel(op.ctx)
	forget := context.AfterFunc(op.s.stopping, cancel)
	context.AfterFunc(op.ctx, func() { forget() })
	return ctx
}

// cancelled reports whether the operation is to give up.
func (op *Operation) cancelled() bool { return op.ctx.Err() != nil }

// Commit says that the operation can't give up any more, unless it was told to
// before, or all comes to its end: then that is the error.
func (op *Operation) Commit() error {
	op.s.underWay.mu.Lock()
	op.committed = !op.cancelled()
	op.s.underWay.mu.Unlock()
	if !op.committed {
		return op.giveUp("nothing has changed")
	}
	if op.s.stopping.Err() != nil {
		return ErrStopping
	}
	return nil
}

// giveUp returns what the operation, or a step of it, ends with since it is
// cancelled; left says what there is now, and what is left to do.
func (op *Operation) giveUp(left string, args ...any) error {
	left = fmt.Sprintf(left, args...)
	if op.givenUp == nil {
		op.givenUp = ErrCancelled
	}
	op.givenUp = fmt.Errorf("%w; %s", op.givenUp, left)
	return fmt.Errorf("%w; %s", ErrCancelled, left)
}

func (op *Operation) logCancelled() {
	if op.givenUp != nil {
		op.s.log.Info("operation cancelled", "operation", op.name, "after", op.age(), "reason", op.givenUp)
	}
}
