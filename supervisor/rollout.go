package supervisor

import (
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
// the old ones are gone. The first heir that fails its trial ends it: no other
// slot is touched, and the error has what the heir printed last. So does Cancel,
// which does not wait for heirs on trial.
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
// and must be called if there is no error.
func (op *Operation) Restart(o Rollout, say func(string)) (wait func() error, err error) {
	return op.roll(nil, o, say)
}

// Adopt is Restart for all slots with another launch, which is that of later
// workers, too, once all slots have it. That is when it returns; wait, which must
// be called if there is no error, returns when the old workers are gone.
func (op *Operation) Adopt(l *Launch, say func(string)) (wait func() error, err error) {
	return op.roll(l, Rollout{MaxUnready: -1}, say)
}

func (op *Operation) roll(l *Launch, o Rollout, say func(string)) (wait func() error, err error) {
	if len(o.Slots) == 0 {
		op.s.spec.Rolling(true)
	}
	old, err := op.replaceAll(l, o, say)
	op.s.spec.Rolling(false)
	if err != nil {
		return nil, err
	}
	return op.s.vacating(old, "old worker", say)
}

// replaceAll replaces slots, and returns those that are replaced, which drain.
func (op *Operation) replaceAll(l *Launch, o Rollout, say func(string)) (old []*slot, err error) {
	s, limits := op.s, op.s.limits.Load()
	if o.Parallel == 0 {
		o.Parallel = max(1, limits.Parallel)
	}
	if o.MaxUnready < 0 {
		o.MaxUnready = limits.MaxUnready
	}
	todo, generation, launch, err := s.plan(l, o.Slots)
	if err != nil {
		return nil, err
	}
	r := replacing{op: op, say: say, todo: todo, all: len(todo), generation: generation, launch: launch}
	switch err := r.replace(o); {
	case err != nil:
		err = fmt.Errorf("the rolling restart was stopped, %d of %d workers replaced, the others left as they are: %w", len(r.heirs), r.all, err)
		if l != nil && len(r.heirs) > 0 {
			err = fmt.Errorf("%w\nthe new configuration holds for those only; stickyd restart takes it back", err)
		}
		return nil, err
	case len(r.todo) > 0:
		return nil, op.giveUp("%d of %d workers are new; %s", len(r.heirs), r.all, r.rest(l != nil))
	}
	if l != nil {
		s.mu.Lock()
		s.current = l
		s.mu.Unlock()
	}
	return r.old, nil
}

// A replacing is a rolling restart that is under way.
type replacing struct {
	op         *Operation
	say        func(string)
	all        int   // slots that are to be replaced
	todo       []int // those that no heir has, nor tries to get
	generation int
	launch     *Launch
	heirs, old []*slot
}

// replace replaces one slot after the other, some at a time, until one of them
// fails, or the operation is cancelled: then there is something left to do.
func (r *replacing) replace(o Rollout) (err error) {
	results := make(chan replacement)
	for underWay := 0; ; underWay-- {
		for err == nil && !r.op.cancelled() && len(r.todo) > 0 && underWay < o.Parallel {
			if err = tooManyUnready(r.heirs, o.MaxUnready); err != nil {
				break
			}
			n := r.todo[0]
			r.todo = r.todo[1:]
			underWay++
			r.op.Say(r.say, "worker %d: starting the new one (%d of %d replaced)", n, len(r.heirs), r.all)
			go func() { results <- r.op.replace(n, r.generation, r.launch) }()
		}
		if underWay == 0 {
			return err
		}
		switch one := <-results; {
		case errors.Is(one.err, ErrCancelled):
			r.todo = append(r.todo, one.n)
		case one.err != nil:
			err = errors.Join(err, one.err)
		default:
			r.heirs, r.old = append(r.heirs, one.heir), append(r.old, one.old)
			r.op.Say(r.say, "worker %d: %s (%d of %d replaced)", one.n, one.text(), len(r.heirs), r.all)
		}
	}
}

// rest says what does the rest.
func (r *replacing) rest(reload bool) string {
	if reload && len(r.heirs) > 0 {
		return "stickyd reload does the rest, stickyd restart takes it back"
	} else if reload {
		return "stickyd reload tries it again"
	}
	const few = 16
	words := "stickyd restart"
	if len(r.todo) < r.op.s.wanted() && len(r.todo) <= few {
		slices.Sort(r.todo)
		words += " " + strings.Trim(fmt.Sprint(r.todo), "[]")
	}
	return words + " does the rest"
}

// plan returns which slots are to be replaced, by which generation of what.
func (s *Supervisor) plan(l *Launch, only []int) (numbers []int, generation int, launch *Launch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := 1; n <= s.workers; n++ {
		numbers = append(numbers, n)
	}
	for _, n := range only {
		if !slices.Contains(numbers, n) {
			return nil, 0, nil, fmt.Errorf("there is no worker %d: they are numbered from 1 to %d", n, s.workers)
		}
	}
	if len(only) > 0 {
		numbers = slices.Compact(slices.Sorted(slices.Values(only)))
	}
	if launch = l; l == nil {
		launch = s.current
	}
	s.generation++
	return numbers, s.generation, launch, nil
}

// A replacement is what came of replacing slot n.
type replacement struct {
	n         int
	old, heir *slot
	empty     bool // the old one had no process
	err       error
}

func (r *replacement) text() string {
	if r.empty {
		return "the new one is ready"
	}
	return "the new one is ready, the old one drains"
}

// replace gives slot n an heir. It returns once the heir has stood its trial; from
// then on the old one drains.
func (op *Operation) replace(n, generation int, l *Launch) replacement {
	fails := func(err error) replacement { return replacement{n: n, err: err} }
	s, t := op.s, newTrial()
	heir, old := newSlot(s, n, generation, l, t), s.holder(n)
	if old == nil {
		return fails(fmt.Errorf("worker %d: somebody else changes it", n))
	}
	heir.past = old.status.Load().Past
	heir.past.Restarts++
	s.makeRoom(n)
	if !s.add(heir) {
		return fails(ErrStopping)
	}
	if err := t.await(op, heir); err != nil {
		return fails(fmt.Errorf("worker %d: %w", n, err))
	}
	empty := old.status.Load().PID == 0
	old.order(leave)
	return replacement{n: n, old: old, heir: heir, empty: empty}
}

// makeRoom lets no more than Limits.MaxDraining old workers leave slot n, with the
// one that is about to: who restarts faster than clients leave does not fill the
// machine.
func (s *Supervisor) makeRoom(n int) {
	most := max(1, s.limits.Load().MaxDraining)
	leaving := s.leavers(n)
	for _, sl := range leaving[:max(0, len(leaving)-most+1)] {
		s.log.Warn("the clients of an old worker are sent away: too many of its slot drain",
			"slot", n, "pid", sl.status.Load().PID, "max_draining", most)
		sl.order(vacateNow)
	}
}

// holder returns the slot that has number n: not one that leaves, nor an heir.
func (s *Supervisor) holder(n int) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.slots {
		if now := sl.status.Load(); sl.n == n && !now.Leaving && !now.OnTrial {
			return sl
		}
	}
	return nil
}

// leavers returns the slots with number n whose workers leave and still have
// clients, the oldest first.
func (s *Supervisor) leavers(n int) (all []*slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.slots {
		now := sl.status.Load()
		if sl.n == n && now.Leaving && (now.State == draining.String() || now.State == finishing.String()) {
			all = append(all, sl)
		}
	}
	return all
}

// tooManyUnready returns an error if more than limit of those that were replaced
// are not ready any more.
func tooManyUnready(heirs []*slot, limit int) error {
	var unready []int
	for _, sl := range heirs {
		if sl.status.Load().State != ready.String() {
			unready = append(unready, sl.n)
		}
	}
	if len(unready) > limit {
		return fmt.Errorf("of the new workers, %v are not ready any more", unready)
	}
	return nil
}
