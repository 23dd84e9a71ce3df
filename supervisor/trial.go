package supervisor

// A trial is what a worker stands that replaces another, or is one more: it has
// to become ready, and to stay so for Limits.MinReady. If it does not, nothing
// else is changed.
type trial struct {
	outcome chan error // gets one: nil, or why not
}

func newTrial() *trial { return &trial{outcome: make(chan error, 1)} }

// prove ends the slot's trial, if there is one.
func (sl *slot) prove(err error) {
	if sl.trial != nil {
		outcome := sl.trial.outcome
		sl.trial = nil
		sl.publish(never) // first: who hears of the outcome looks at it
		outcome <- err
	}
}
