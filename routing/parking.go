package routing

import (
	"maps"
	"slices"
)

// maxParked bounds the ids whose registration is waited for: they are the
// clients' to invent. How many wait for one, those who wait bound.
const maxParked = 1024

// parking is the tickets of connections whose sessions nobody has registered
// yet, by session id.
type parking map[string][]*Ticket

// SetLate says whether m is late: it may register a session after it has answered
// the request that started the session. As long as one such member has
// connections, an id that was never registered waits for its registration. Members
// may become late, or stop being so, at any time.
func (r *Router) SetLate(m *Member, late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.late != late {
		m.late = late
		r.unparkHopelessLocked()
	}
}

// mayParkLocked reports whether q has to wait for the registration of its
// session. The id of a dead worker's session does not wait: it was registered.
func (r *Router) mayParkLocked(q *Query) bool {
	if len(q.Session) == 0 || q.Parked || len(r.parked) >= maxParked {
		return false
	}
	_, lookup := r.ownerLocked(q)
	return lookup == Never && r.mayRegisterLocked()
}

// mayRegisterLocked reports whether a session may exist that is not registered yet:
// some late member has had a connection. It does not matter how long ago, nor whether
// a session of that connection was registered since: the client may keep it alive and
// start another session on it, which nobody sees here.
func (r *Router) mayRegisterLocked() bool {
	for _, m := range r.members {
		if m.late && m.reached {
			return true
		}
	}
	return false
}

// unparkHopelessLocked routes the parked connections if no registration can come any
// more.
func (r *Router) unparkHopelessLocked() {
	if len(r.parked) == 0 || r.mayRegisterLocked() {
		return
	}
	all := slices.Concat(slices.Collect(maps.Values(r.parked))...)
	clear(r.parked)
	for _, t := range all {
		r.grantLocked(t)
	}
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
