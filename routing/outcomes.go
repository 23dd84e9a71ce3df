package routing

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// outcomes counts what became of the connections of a slot, whoever is in it.
type outcomes struct{ handed, returned, rerouted atomic.Int64 }

// SlotOutcomes is what became of the connections that went to a slot, since the
// start.
type SlotOutcomes struct {
	Slot     int
	Handed   int64 // to its members, each time
	Returned int64 // by them
	Rerouted int64 // since they could not take them, or died before
}

// Handed says that the connection of a Route was handed to its member.
func (r *Router) Handed(to Route) {
	to.Member.outcomes.handed.Add(1)
	r.lookups[to.Lookup].Add(1)
}

// Returned says that m gave a connection back that it had.
func (r *Router) Returned(m *Member) { m.outcomes.returned.Add(1) }

// Rerouted says that m did not take a connection, which others are to get.
func (r *Router) Rerouted(m *Member) { m.outcomes.rerouted.Add(1) }

// Outcomes returns those of all slots in which there ever was a member, by slot.
func (r *Router) Outcomes() []SlotOutcomes {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]SlotOutcomes, 0, len(r.outcomes))
	for slot, o := range r.outcomes {
		all = append(all, SlotOutcomes{slot, o.handed.Load(), o.returned.Load(), o.rerouted.Load()})
	}
	slices.SortFunc(all, func(a, b SlotOutcomes) int { return cmp.Compare(a.Slot, b.Slot) })
	return all
}

func (r *Router) outcomesLocked(slot int) *outcomes {
	o := r.outcomes[slot]
	if o == nil {
		o = new(outcomes)
		r.outcomes[slot] = o
	}
	return o
}
