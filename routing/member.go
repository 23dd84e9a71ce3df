package routing

import (
	"cmp"
	"container/list"
	"slices"
	"time"
)

// A Seat is what a member is told to be.
type Seat struct {
	Slot int // 1, 2, …; outlives its members

	// Generation grows with each replacement of all members. New sessions go to
	// the newest one that has room.
	Generation int

	// Window is how many connections may be in flight to the member, at least 1.
	Window int
}

// A Member is a target that the router knows. Its fields belong to the router.
type Member struct {
	Seat
	Target any // the caller's

	router      *Router
	outcomes    *outcomes // of its slot
	incarnation Incarnation
	late        bool // see SetLate
	reached     bool // was routed a connection, in which a session may begin
	ready       bool // gets what is new; in Router.ready, unless it is away
	retired     bool // keeps its sessions, gets no new ones
	away        bool // keeps its sessions, and can't be given any connection now
	gone        bool
	inFlight    int // routed to it and not yet taken
	pending     int // connections that count as load by themselves
	sessions    func() int
	waiting     list.List // tickets that only this member can serve
}

// Incarnation returns the number that the table knows m by.
func (m *Member) Incarnation() Incarnation { return m.incarnation }

func (m *Member) load() int { return m.sessions() + m.pending }

func (m *Member) hasRoom() bool { return m.inFlight < m.Window }

// A place is where a member stands among the others: while members are
// replaced, two may be ready in one slot.
type place struct {
	slot, generation int
	incarnation      Incarnation
}

func (m *Member) place() place { return place{m.Slot, m.Generation, m.incarnation} }

func (p place) compare(other place) int {
	return cmp.Or(
		cmp.Compare(p.slot, other.slot),
		cmp.Compare(p.generation, other.generation),
		cmp.Compare(p.incarnation, other.incarnation))
}

// Join makes a member whose sessions can be bound; it gets connections after
// Add. Remove must follow some time.
func (r *Router) Join(seat Seat, target any) *Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joinLocked(seat, r.table.Open(), target)
}

func (r *Router) joinLocked(seat Seat, in Incarnation, target any) *Member {
	m := &Member{
		Seat: seat, Target: target,
		router: r, outcomes: r.outcomesLocked(seat.Slot), incarnation: in,
		sessions: func() int { return r.table.Sessions(in) },
	}
	r.members[in] = m
	return m
}

// Add says that m takes connections, and whether it is late, see SetLate.
func (r *Router) Add(m *Member, late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.gone || m.retired || m.ready {
		return
	}
	m.late = late
	r.readyLocked(m)
}

func (r *Router) readyLocked(m *Member) {
	m.ready = true
	if !m.away {
		r.addLocked(m)
		r.serveLocked(m)
	}
}

func (r *Router) addLocked(m *Member) {
	i, _ := slices.BinarySearchFunc(r.ready, m.place(), func(m *Member, p place) int { return m.place().compare(p) })
	r.ready = slices.Insert(r.ready, i, m)
}

// Away says whether m can be given connections: while it is away it keeps its
// sessions, whose connections go to other members, as those that wait for it do.
func (r *Router) Away(m *Member, away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.gone || m.away == away {
		return
	}
	m.away = away
	if away {
		r.withdrawLocked(m)
		return
	}
	if m.ready {
		r.addLocked(m)
	}
	r.serveLocked(m)
}

// withdrawLocked takes m out of those that get what is new. Connections that
// waited for m look for another member.
func (r *Router) withdrawLocked(m *Member) {
	r.ready = slices.DeleteFunc(r.ready, func(other *Member) bool { return other == m })
	r.regrantLocked(&m.waiting)
	if len(r.ready) == 0 { // what a retired member gave back, it gets again
		r.regrantLocked(&r.waiting)
	}
}

// Retire says that m keeps its sessions and gets no new ones. Connections that
// waited for m, and not for one of its sessions, look for another member.
func (r *Router) Retire(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retireLocked(m)
}

func (r *Router) retireLocked(m *Member) {
	m.ready, m.retired = false, true
	r.withdrawLocked(m)
}

// Remove forgets m, which died at that time, and purges its sessions, whose
// number it returns. Connections that waited for m look for another member.
func (r *Router) Remove(m *Member, at time.Time) (sessions int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.gone {
		return 0
	}
	m.gone = true
	delete(r.members, m.incarnation)
	sessions = r.table.Kill(m.incarnation, Death{Slot: m.Slot, Generation: m.Generation, At: at})
	r.retireLocked(m)
	r.unparkHopelessLocked()
	return sessions
}
