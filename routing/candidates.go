package routing

// balanceLocked returns the balancer's choice, nil if there is none now.
func (r *Router) balanceLocked(q *Query) *Member {
	r.choice = r.candidatesLocked(r.choice[:0], q.From)
	switch {
	case len(r.choice) > 0:
		return r.balancer.Pick(r.choice, *q)
	case q.From != nil && q.From.ready && !q.From.away && (r.balancer.Bound() || q.From.hasRoom()):
		return q.From // who could not take it is asked again: nobody else is there
	}
	return nil
}

// candidatesLocked appends to buf the members that the balancer may choose
// from, but not who is not to be asked. Where the choice must not depend on who
// is busy, they are the newest one of each slot, so that a client keeps its slot
// while that changes hands; else they are those that have room, and of them the
// newest generation while that is preferred.
func (r *Router) candidatesLocked(buf []*Member, not *Member) []*Member {
	bound := r.balancer.Bound()
	for _, m := range r.ready {
		last := len(buf) - 1
		switch {
		case m == not || !bound && !m.hasRoom():
		case last < 0:
			buf = append(buf, m)
		case bound && buf[last].Slot == m.Slot:
			buf[last] = m // the newer one stands behind the older
		case bound || !r.newest || buf[last].Generation == m.Generation:
			buf = append(buf, m)
		case buf[last].Generation < m.Generation:
			buf = append(buf[:0], m)
		}
	}
	return buf
}

// SetBalancer changes the balancer for connections that come and for those
// that wait.
func (r *Router) SetBalancer(b Balancer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.balancer = b
	for _, m := range r.members {
		r.regrantLocked(&m.waiting)
	}
	r.regrantLocked(&r.waiting)
}

// PreferNewest says whether connections without a live session go to the newest
// generation, and to an older one only where no newer one has room: while a
// rolling restart is under way. At other times generations don't matter: one
// worker that was replaced alone is not to get all that comes.
func (r *Router) PreferNewest(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = on
}
