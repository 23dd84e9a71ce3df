package routing

import (
	"cmp"
	"slices"
)

// A MemberStatus is what the router knows of a member at one time.
type MemberStatus struct {
	Seat
	Incarnation Incarnation
	Ready       bool // gets new sessions
	Retired     bool // keeps its sessions, gets no new ones
	Away        bool // can't be given connections now, see Router.Away
	Sessions    int
	Untaken     int // connections routed to it and not yet taken
	Open        int // connections that count as load: neither part of a session nor closed
}

// Members returns what is known of the members, by incarnation.
func (r *Router) Members() []MemberStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]MemberStatus, 0, len(r.members))
	for _, m := range r.members {
		all = append(all, MemberStatus{
			Seat: m.Seat, Incarnation: m.incarnation, Ready: m.ready, Retired: m.retired, Away: m.away,
			Sessions: m.sessions(), Untaken: m.inFlight, Open: m.pending,
		})
	}
	slices.SortFunc(all, func(a, b MemberStatus) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	return all
}

// Remaining returns how many sessions m has, and how many connections that count
// as load beside them.
func (r *Router) Remaining(m *Member) (sessions, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.sessions(), m.pending
}
