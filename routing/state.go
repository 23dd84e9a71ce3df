package routing

import (
	"fmt"
	"maps"
	"slices"
)

// A MemberState is what a router knows of a member, for another router that
// goes on in its place.
type MemberState struct {
	Seat
	Incarnation Incarnation
	Late        bool // see SetLate
	Ready       bool // Add was called, and not yet Retire
	Retired     bool
	Away        bool
	InFlight    int
	Pending     int
}

// State returns the state of a member that was not removed.
func (m *Member) State() MemberState {
	m.router.mu.Lock()
	defer m.router.mu.Unlock()
	return MemberState{
		Seat: m.Seat, Incarnation: m.incarnation,
		Late: m.late, Ready: m.ready, Retired: m.retired, Away: m.away,
		InFlight: m.inFlight, Pending: m.pending,
	}
}

// MemberStates returns the states of all members.
func (r *Router) MemberStates() []MemberState {
	r.mu.Lock()
	members := slices.Collect(maps.Values(r.members))
	r.mu.Unlock()
	all := make([]MemberState, len(members))
	for i, m := range members {
		all[i] = m.State()
	}
	return all
}

// Rejoin makes the member again that had this state, in a router whose table
// has its sessions (ReadTable). Each member that had joined must rejoin, also
// one that is to be removed: until then its sessions are nobody's. Tickets are
// not carried over: who holds one cancels it before State, and calls Route anew.
func (r *Router) Rejoin(s MemberState, target any) (*Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.table.life(s.Incarnation) == nil:
		return nil, fmt.Errorf("the session table has no incarnation %d, which was in slot %d", s.Incarnation, s.Slot)
	case r.members[s.Incarnation] != nil:
		return nil, fmt.Errorf("incarnation %d has joined already", s.Incarnation)
	case s.Window < 1: // it would never get a connection, and those of its sessions would wait for ever
		return nil, fmt.Errorf("incarnation %d has a window of %d connections", s.Incarnation, s.Window)
	case s.Ready && s.Retired:
		return nil, fmt.Errorf("incarnation %d can't be both ready and retired", s.Incarnation)
	}
	m := r.joinLocked(s.Seat, s.Incarnation, target)
	m.retired, m.away, m.inFlight, m.pending = s.Retired, s.Away, s.InFlight, s.Pending
	m.late, m.reached = s.Late, true // for all we know
	if s.Ready {
		r.readyLocked(m)
	}
	return m, nil
}

// A RouterState is what a router has counted, for another one that goes on in
// its place.
type RouterState struct {
	Bound    int64
	Lookups  Lookups
	Outcomes []SlotOutcomes
}

// State returns what r has counted.
func (r *Router) State() RouterState {
	return RouterState{r.Bound(), r.Lookups(), r.Outcomes()}
}

// Restore lets r go on from what another router has counted.
func (r *Router) Restore(s RouterState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bound.Add(s.Bound)
	r.lookups[Found].Add(s.Lookups.Found)
	r.lookups[Rescued].Add(s.Lookups.Rescued)
	r.lookups[Dead].Add(s.Lookups.Dead)
	r.lookups[Never].Add(s.Lookups.Never)
	for _, s := range s.Outcomes {
		o := r.outcomesLocked(s.Slot)
		o.handed.Add(s.Handed)
		o.returned.Add(s.Returned)
		o.rerouted.Add(s.Rerouted)
	}
}
