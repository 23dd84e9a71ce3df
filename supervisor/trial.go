package supervisor

import "context"

// A trial is what a worker stands that replaces another, or is one more: it has
// to become ready, and to stay so for Limits.MinReady. If it does not, nothing
// else is changed.
type trial struct {
	outcome chan error // gets one: nil, or why not
}

func newTrial() *trial { return &trial{outcome: make(chan error, 1)} }

// await returns the outcome for sl, which was added: nil, a *crash, ErrStopping,
// or ErrCancelled where ctx is done first.
func (t *trial) await(ctx context.Context, sl *slot) error {
	select {
	case err := <-t.outcome:
		return err
	case <-ctx.Done():
		sl.tell(sl.withdraw)
		return <-t.outcome
	}
}

// withdraw ends the slot's trial, if it still stands one, and its worker, which
// may have sessions by then.
func (sl *slot) withdraw() {
	if sl.trial != nil {
		sl.onOrder(leave) // first: it is nobody who could hold the slot
		sl.prove(ErrCancelled)
	}
}

// prove ends the slot's trial, if there is one.
func (sl *slot) prove(err error) {
	if sl.trial != nil {
		outcome := sl.trial.outcome
		sl.trial = nil
		sl.publish(never) // first: who hears of the outcome looks at it
		outcome <- err
	}
}
