package supervisor

import (
	"context"
	"fmt"
)

// This file is how one slot gets another worker.

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

// one gives slot n an heir. It returns once the heir has stood its trial, from
// when on the old one drains, or when ctx is done.
func (r *replacing) one(ctx context.Context, n int) replacement {
	fails := func(err error) replacement { return replacement{n: n, err: err} }
	s, t := r.op.s, newTrial()
	heir, old := newSlot(s, n, r.generation, r.launch, t), s.holder(n)
	if old == nil {
		return fails(fmt.Errorf("worker %d is being changed by something else; try again", n))
	}
	heir.monitor = r.monitor
	heir.past = old.status.Load().Past
	heir.past.Restarts++
	s.makeRoom(n)
	if !s.add(heir) {
		return fails(ErrStopping)
	}
	if err := t.await(ctx, heir); err != nil {
		return fails(err)
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
		s.log.Warn("too many old workers of a slot drain, sending away the clients of the oldest",
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
