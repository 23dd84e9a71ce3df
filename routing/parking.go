package routing

import "slices"

// maxParked bounds the ids whose registration is waited for: they are the
// clients' to invent. How many wait for one, those who wait bound.
const maxParked = 1024

// parking is the tickets of connections whose sessions nobody has registered
// yet, by session id.
type parking map[string][]*Ticket

// mayParkLocked reports whether q has to wait for the registration of its
// session.
func (r *Router) mayParkLocked(q *Query) bool {
	if len(q.Session) == 0 || q.Parked || r.late == 0 || len(r.parked) >= maxParked {
		return false
	}
	owner, _ := r.ownerLocked(q)
	return owner == nil
}

func (p parking) add(t *Ticket) {
	id := string(t.query.Session)
	p[id] = append(p[id], t)
}

// takeAll takes out the tickets for a session, in their order.
func (p parking) takeAll(id []byte) []*Ticket {
	all := p[string(id)]
	delete(p, string(id))
	return all
}

// take takes out one ticket and reports whether it was there.
func (p parking) take(t *Ticket) bool {
	id := string(t.query.Session)
	i := slices.Index(p[id], t)
	if i < 0 {
		return false
	}
	if p[id] = slices.Delete(p[id], i, i+1); len(p[id]) == 0 {
		delete(p, id)
	}
	return true
}

// Unpark gives up waiting for the registration of a session: the connection is
// routed like one of a session that nobody knows, and its route comes through
// the ticket as for any other. It does nothing if the registration has come.
func (r *Router) Unpark(t *Ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parked.take(t) {
		r.grantLocked(t)
	}
}
