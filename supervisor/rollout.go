package supervisor

import (
	"errors"
	"fmt"
	"slices"
)

// A Rollout says how a rolling restart goes.
type Rollout struct {
	Slots      []int // numbers; none: all
	Parallel   int   // slots at a time; 0: Limits.Parallel
	MaxUnready int   // negative: Limits.MaxUnready

	background bool // nobody asked for it: who asks for something else waits for its end
}

// Restart replaces workers by new ones, which form a new generation: in each
// slot the heir first, which has to get ready and stay so, and then the old
// worker drains, by session, so that the place is never empty. It returns when
// the old ones are gone. The first heir that fails its trial ends it: no other
// slot is touched, and the error has what the heir printed last.
func (s *Supervisor) Restart(o Rollout, say func(string)) error {
	wait, err := s.roll("rolling restart", nil, o, say)
	if err != nil {
		return err
	}
	return wait()
}

// Adopt is Restart for all slots with another launch, which is that of later
// workers, too, once all slots have it. That is when it returns; wait, which must
// be called if there is no error, returns when the old workers are gone.
func (s *Supervisor) Adopt(l *Launch, say func(string)) (wait func() error, err error) {
	return s.roll("rolling restart to a new configuration", l, Rollout{MaxUnready: -1}, say)
}

func (s *Supervisor) roll(name string, l *Launch, o Rollout, say func(string)) (wait func() error, err error) {
	end, err := s.begin(name)
	if err != nil {
		return nil, err
	}
	defer end() // others need not wait for those that drain
	s.operation.setBackground(o.background)
	if len(o.Slots) == 0 {
		s.spec.Rolling(true)
	}
	old, err := s.replaceAll(l, o, say)
	s.spec.Rolling(false)
	if err != nil {
		return nil, err
	}
	return s.vacating(old, say)
}

// replaceAll replaces one slot after the other, some at a time, and returns
// those that are replaced, which drain.
func (s *Supervisor) replaceAll(l *Launch, o Rollout, say func(string)) (old []*slot, err error) {
	limits := s.limits.Load()
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
	type result struct {
		old, heir *slot
		err       error
	}
	results := make(chan result)
	var heirs []*slot
	all, underWay := len(todo), 0
	for len(todo) > 0 || underWay > 0 {
		for err == nil && len(todo) > 0 && underWay < o.Parallel {
			if err = tooManyUnready(heirs, o.MaxUnready); err != nil {
				break
			}
			n := todo[0]
			todo = todo[1:]
			underWay++
			s.say(say, "worker %d: starting the new one (%d of %d replaced)", n, len(heirs), all)
			go func() {
				o, h, err := s.replace(n, generation, launch)
				results <- result{o, h, err}
			}()
		}
		if underWay == 0 {
			break
		}
		r := <-results
		underWay--
		if r.err != nil {
			err = errors.Join(err, r.err)
			continue
		}
		heirs = append(heirs, r.heir)
		old = append(old, r.old)
		s.say(say, "worker %d: the new one is ready, the old one drains (%d of %d replaced)", r.heir.n, len(heirs), all)
	}
	if err != nil {
		err = fmt.Errorf("the rolling restart was stopped, %d of %d workers replaced, the others left as they are: %w", len(heirs), all, err)
		if l != nil && len(heirs) > 0 {
			err = fmt.Errorf("%w\nthe new configuration holds for those only; stickyd restart takes it back", err)
		}
		return old, err
	}
	if l != nil {
		s.mu.Lock()
		s.current = l
		s.mu.Unlock()
	}
	return old, nil
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

// maxLeaving is how many old workers may drain or finish in one slot beside the
// one that it has: who restarts faster than clients leave does not fill the
// machine.
const maxLeaving = 2

// replace gives slot n an heir. It returns the old slot, which drains, once the
// heir has stood its trial.
func (s *Supervisor) replace(n, generation int, l *Launch) (old, heir *slot, err error) {
	t := newTrial()
	heir = newSlot(s, n, generation, l, t)
	if old = s.holder(n); old == nil {
		return nil, nil, fmt.Errorf("worker %d: somebody else changes it", n)
	}
	now := old.status.Load()
	heir.starts, heir.cause = now.Starts, now.Cause
	if leaving := s.leavers(n); len(leaving) >= maxLeaving {
		for _, sl := range leaving[:len(leaving)-maxLeaving+1] {
			sl.order(vacateNow)
		}
	}
	if !s.add(heir) {
		return nil, nil, ErrStopping
	}
	if err := <-t.outcome; err != nil {
		return nil, nil, fmt.Errorf("worker %d: %w", n, err)
	}
	old.order(leave)
	return old, heir, nil
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
