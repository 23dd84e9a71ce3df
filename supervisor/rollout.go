package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Rollout says how a rolling restart goes.
type Rollout struct {
	Slots      []int // numbers; none: all
	Parallel   int   // slots at a time; 0: Limits.Parallel
	MaxUnready int   // negative: Limits.MaxUnready
}

// Restart replaces workers by new ones, which form a new generation: in each
// slot the heir first, which has to get ready and stay so, and then the old
// worker drains, by session, so that the place is never empty. It returns when
// the old ones are gone.
//
// The first heir that fails its trial ends it, and so does one that crashes
// behind it before Restart returns, where more than MaxUnready have: no other
// slot is touched, heirs that are on trial go, and the error has what the worker
// printed last. So does Cancel, which does not wait for heirs on trial.
func (s *Supervisor) Restart(o Rollout, say func(string)) error {
	op, err := s.Begin("rolling restart")
	if err != nil {
		return err
	}
	wait, err := op.Restart(o, say)
	op.End() // others need not wait for those that drain
	if err != nil {
		return err
	}
	return wait()
}

// Restart is Supervisor.Restart that does not wait for the old workers; wait does,
// and must be called if there is no error. Until it returns new workers are
// watched, but for those that a later operation replaces.
func (op *Operation) Restart(o Rollout, say func(string)) (wait func() error, err error) {
	return op.roll(nil, o, say)
}

// Adopt is Restart for all slots with another launch, which is that of later
// workers, too, once all slots have it. That is when it returns; wait, which must
// be called if there is no error, returns when the old workers are gone.
func (op *Operation) Adopt(l *Launch, say func(string)) (wait func() error, err error) {
	l.Lessons = new(Lessons)
	return op.roll(l, Rollout{MaxUnready: -1}, say)
}

func (op *Operation) roll(l *Launch, o Rollout, say func(string)) (wait func() error, err error) {
	if len(o.Slots) == 0 {
		op.s.spec.Rolling(true)
	}
	r, err := op.replaceAll(l, o, say)
	op.s.spec.Rolling(false)
	if err != nil {
		return nil, err
	}
	gone, err := op.s.vacating(r.monitor.exceeded, r.old, "old worker", say)
	if err != nil {
		return nil, err
	}
	return func() error { return r.over(gone()) }, nil
}

// replaceAll replaces slots; the workers that were there drain.
func (op *Operation) replaceAll(l *Launch, o Rollout, say func(string)) (*replacing, error) {
	s, limits := op.s, op.s.limits.Load()
	if o.Parallel == 0 {
		o.Parallel = max(1, limits.Parallel)
	}
	if o.MaxUnready < 0 {
		o.MaxUnready = limits.MaxUnready
	}
	r, err := op.plan(l, o.Slots)
	if err != nil {
		return nil, err
	}
	r.say, r.monitor = say, newMonitor(o.MaxUnready)
	switch err := r.replace(o.Parallel); {
	case err != nil:
		return nil, r.stopped(err)
	case len(r.todo) > 0:
		return nil, op.giveUp("%d of %d workers are new; %s", len(r.heirs), len(r.slots), r.rest())
	}
	r.done = true
	if r.reload {
		s.mu.Lock()
		s.current = l
		s.mu.Unlock()
	}
	return r, nil
}

// A replacing is a rolling restart that is under way.
type replacing struct {
	op         *Operation
	say        func(string)
	slots      []int // numbers of those that are to be replaced
	todo       []int // those that no heir has, nor tries to get
	generation int
	launch     *Launch
	reload     bool // it is another launch than before
	done       bool // all slots are replaced
	heirs, old []*slot
	monitor    *monitor // of heirs
}

// replace replaces one slot after the other, some at a time, until one of them
// fails, too many heirs have crashed, or the operation is cancelled: then there
// is something left to do.
func (r *replacing) replace(parallel int) (err error) {
	ctx, stop := r.monitor.within(r.op.ctx)
	defer stop()
	results := make(chan replacement)
	for underWay := 0; ; underWay-- {
		for ctx.Err() == nil && len(r.todo) > 0 && underWay < parallel {
			n := r.todo[0]
			r.todo = r.todo[1:]
			underWay++
			r.op.Say(r.say, "worker %d: starting the new one (%d of %d replaced)", n, len(r.heirs), len(r.slots))
			go func() { results <- r.one(ctx, n) }()
		}
		if underWay == 0 {
			return cmp.Or(err, r.monitor.err())
		}
		switch one := <-results; {
		case errors.Is(one.err, ErrCancelled):
			r.todo = append(r.todo, one.n)
		case one.err != nil:
			err = cmp.Or(err, one.err)
			stop() // the other heirs go
		default:
			r.heirs, r.old = append(r.heirs, one.heir), append(r.old, one.old)
			r.op.Say(r.say, "worker %d: %s (%d of %d replaced)", one.n, one.text(), len(r.heirs), len(r.slots))
		}
	}
}

// over returns what the restart came to; err is how waiting for the old workers
// ended.
func (r *replacing) over(err error) error {
	if crashed := r.monitor.err(); crashed != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return r.stopped(crashed)
	}
	return err
}

// stopped returns the error that the restart ends with because of err.
func (r *replacing) stopped(err error) error {
	now := fmt.Sprintf("%d of %d slots run the new version", len(r.heirs), len(r.slots))
	if n := remaining(r.old).Workers; n > 0 {
		now += ", and " + counted(n, "old worker still drains", "old workers still drain")
	}
	return r.op.stopped("restart", err, now, r.again())
}

// again says what to type when what was wrong is mended.
func (r *replacing) again() string {
	switch {
	case r.reload && r.done:
		return "when it is fixed: stickyd restart, or stickyd reload for another configuration"
	case r.reload && len(r.heirs) > 0:
		return "the new configuration is in effect for those only; stickyd restart takes it back, stickyd reload tries it again"
	case r.reload:
		return "stickyd reload tries it again"
	}
	return "when it is fixed: " + r.command(r.slots)
}

// rest says what does the rest.
func (r *replacing) rest() string {
	if r.reload && len(r.heirs) > 0 {
		return "stickyd reload does the rest, stickyd restart takes it back"
	} else if r.reload {
		return "stickyd reload tries it again"
	}
	return r.command(r.todo) + " does the rest"
}

// command is what restarts these slots.
func (r *replacing) command(slots []int) string {
	const few = 16
	if len(slots) == r.op.s.wanted() || len(slots) > few {
		return "stickyd restart"
	}
	return "stickyd restart " + strings.Trim(fmt.Sprint(slices.Sorted(slices.Values(slots))), "[]")
}

// plan returns the restart of these slots, or of all, as another generation of l,
// or of what they are.
func (op *Operation) plan(l *Launch, only []int) (*replacing, error) {
	s := op.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &replacing{op: op, launch: l, reload: l != nil}
	for n := 1; n <= s.workers; n++ {
		r.slots = append(r.slots, n)
	}
	for _, n := range only {
		if !slices.Contains(r.slots, n) {
			return nil, fmt.Errorf("there is no worker %d; they are numbered 1 to %d", n, s.workers)
		}
	}
	if len(only) > 0 {
		r.slots = slices.Compact(slices.Sorted(slices.Values(only)))
	}
	if l == nil {
		r.launch = s.current
	}
	s.generation++
	r.todo, r.generation = slices.Clone(r.slots), s.generation
	return r, nil
}
