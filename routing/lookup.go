package routing

import (
	"sync/atomic"
	"time"
)

// A Lookup is what came of the search for the owner of a connection's session.
type Lookup uint8

const (
	NoID    Lookup = iota // the connection has none
	Found                 // known at first sight
	Rescued               // known when its registration had been waited for
	Dead                  // its owner has died, or is away
	Never                 // never seen, or forgotten since
)

// known says that a live member owns the session.
func (l Lookup) known() bool { return l == Found || l == Rescued }

// lookups counts them.
type lookups [Never + 1]atomic.Int64

// Lookups are the session ids of connections that were handed over, by what
// came of their lookup. Found and Rescued went to the owner.
type Lookups struct{ Found, Rescued, Dead, Never int64 }

// Lookups returns the numbers since the start.
func (r *Router) Lookups() Lookups {
	of := func(l Lookup) int64 { return r.lookups[l].Load() }
	return Lookups{of(Found), of(Rescued), of(Dead), of(Never)}
}

// ownerLocked returns the member that owns q's session, nil if there is none,
// which it notes in q, and how it was found.
func (r *Router) ownerLocked(q *Query) (*Member, Lookup) {
	if len(q.Session) == 0 {
		return nil, NoID
	}
	in, lookup, _ := r.table.trace(r.table.Key(q.Session))
	owner := r.members[in]
	if owner != nil && owner.away { // as good as dead, for now
		owner, lookup = nil, Dead
	}
	switch {
	case lookup == Found && owner == nil: // to rejoin
		lookup = Never
		fallthrough
	case lookup != Found:
		q.Missed = true
	case q.Missed:
		lookup = Rescued
	}
	return owner, lookup
}

// An Explanation says where a session's connections go, and why.
type Explanation struct {
	Lookup Lookup // Found, Dead or Never

	// Who owns it or did; zero if nobody is known to.
	Slot, Generation int
	Incarnation      Incarnation
	Died             time.Time // zero unless Dead
}

// Explain says what is known of a session id.
func (r *Router) Explain(id []byte) Explanation {
	r.mu.Lock()
	defer r.mu.Unlock()
	in, lookup, death := r.table.trace(r.table.Key(id))
	e := Explanation{Lookup: lookup, Slot: death.Slot, Generation: death.Generation, Incarnation: in, Died: death.At}
	if m := r.members[in]; m != nil {
		e.Slot, e.Generation = m.Slot, m.Generation
	}
	return e
}
