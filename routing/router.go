package routing

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// A Query is what a router needs to know of a connection.
type Query struct {
	// Session is the session id of the request at its head, empty if it has
	// none.
	Session []byte

	// Client is the address to balance by; the zero Addr if the balancer does
	// not look at it.
	Client netip.Addr

	// From is the member that gave the connection back or could not take it,
	// nil for a new one.
	From *Member

	// Returned says that From had the connection and gave it back because of
	// its session, or because it is retired. If the session is nobody's, From
	// gets it again, to say so; a retired one only if nobody else is ready.
	Returned bool

	// Parked says that the connection has waited for the registration of its
	// session already, and must not once more.
	Parked bool

	// Synced says that Sync was called since the connection came.
	Synced bool

	// Missed says that the owner of the session was looked up before and not
	// known then.
	Missed bool
}

// A Route is the router's answer: the member has room for the connection,
// which counts as in flight until Taken, or Release.
type Route struct {
	Member *Member

	// Session says that the member owns the connection's session.
	Session bool

	Lookup Lookup // of the session
}

// A Router knows the members, their load and their sessions. All methods may
// be called from any goroutine; none blocks but for Sync (see NewRouter).
type Router struct {
	table   *Table
	barrier *barrier
	bound   atomic.Int64
	lookups lookups

	mu       sync.Mutex
	balancer Balancer
	members  map[Incarnation]*Member
	ready    []*Member // not retired, by place
	choice   []*Member // what the balancer may pick from; room for candidatesLocked
	waiting  list.List // tickets that any member can serve
	newest   bool      // see PreferNewest
	parked   parking
	outcomes map[int]*outcomes // by slot
}

// NewRouter returns a router without members.
//
// sync must return only after every registration that a worker had sent when
// sync was called was passed to Bind. The router calls it, without a lock
// held, when it does not know a session: the registration may be on its way.
func NewRouter(b Balancer, table *Table, sync func()) *Router {
	return &Router{
		balancer: b, table: table,
		barrier:  newBarrier(sync),
		members:  make(map[Incarnation]*Member),
		parked:   make(parking),
		outcomes: make(map[int]*outcomes),
	}
}

// Bind says that m owns a session. It returns an error, which says why, if it
// does not become so. Connections that were parked for the session go on.
func (r *Router) Bind(m *Member, id []byte) error {
	if err := r.table.Bind(id, m.incarnation); err != nil {
		return err
	}
	r.bound.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.parked.takeAll(id) {
		r.grantLocked(t)
	}
	return nil
}

// Bound returns how often a session was bound, ever.
func (r *Router) Bound() int64 { return r.bound.Load() }

// Unbind says that a session of m has ended.
func (r *Router) Unbind(m *Member, id []byte) { r.table.Unbind(id, m.incarnation) }

// Settled says that n connections of m count as load no longer.
func (r *Router) Settled(m *Member, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.pending -= n
}

// Taken says that m took n connections, so that there is room for others.
func (r *Router) Taken(m *Member, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.inFlight -= n
	r.serveLocked(m)
}

// Release undoes a Route whose connection m did not get after all, or gave
// back before it was taken.
func (r *Router) Release(to Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !to.Session {
		to.Member.pending--
	}
	to.Member.inFlight--
	r.serveLocked(to.Member)
}

// Try returns a route if there is one at first sight: to the owner of the
// connection's session, or, if it has none, to whom the balancer picks. ok is
// false if there is no room, or nobody is known to own the session, which is
// noted in q.
func (r *Router) Try(q *Query) (_ Route, ok bool) {
	var owner Incarnation
	lookup := NoID
	if len(q.Session) > 0 {
		if owner, ok = r.table.Lookup(q.Session); !ok {
			q.Missed = true
			return Route{}, false
		}
		lookup = Found
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[owner]
	if lookup == NoID {
		m = r.balanceLocked(q)
	}
	if m == nil || m.away {
		q.Missed = true
		return Route{}, false
	}
	route, wait := r.reserveLocked(m, lookup)
	return route, wait == nil
}

// Sync returns once every registration that a worker had sent when it was
// called has been dealt with.
func (r *Router) Sync() { r.barrier.pass() }

// Route decides where a connection goes. If the member that it must go to, or
// every one that it might go to, has no room, the answer comes later, through
// the ticket; so it does if the connection is parked (Ticket.Parked), because
// the registration of its session may come late.
func (r *Router) Route(q Query) (Route, *Ticket) {
	r.lookUp(&q)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mayParkLocked(&q) {
		q.Session = slices.Clone(q.Session) // the caller's buffer
		t := &Ticket{query: q, ready: make(chan Route, 1), parked: true}
		r.parked.add(t)
		return Route{}, t
	}
	route, wait := r.routeLocked(&q)
	if wait == nil {
		return route, nil
	}
	q.Session = slices.Clone(q.Session) // the caller's buffer
	t := &Ticket{query: q, ready: make(chan Route, 1)}
	t.push(wait)
	return Route{}, t
}

// lookUp waits for the registration of q's session, which may be on its way.
func (r *Router) lookUp(q *Query) {
	if len(q.Session) == 0 || q.Synced {
		return
	}
	if _, ok := r.table.Lookup(q.Session); !ok {
		q.Missed = true
		r.barrier.pass()
	}
}

// routeLocked returns a route, or the list that the connection must wait in.
func (r *Router) routeLocked(q *Query) (Route, *list.List) {
	owner, lookup := r.ownerLocked(q)
	if owner != nil {
		return r.reserveLocked(owner, lookup)
	}
	if q.Returned && !q.From.gone && !q.From.away && (!q.From.retired || len(r.ready) == 0) {
		return r.reserveLocked(q.From, lookup)
	}
	if m := r.balanceLocked(q); m != nil {
		return r.reserveLocked(m, lookup)
	}
	return Route{}, &r.waiting
}

func (r *Router) reserveLocked(m *Member, l Lookup) (Route, *list.List) {
	if !m.hasRoom() {
		return Route{}, &m.waiting
	}
	m.inFlight++
	m.reached = true
	if !l.known() {
		m.pending++
	}
	return Route{Member: m, Session: l.known(), Lookup: l}, nil
}

// serveLocked gives the room that m has to those who wait, first to those who
// can go nowhere else.
func (r *Router) serveLocked(m *Member) {
	for !m.gone && !m.away && m.hasRoom() {
		t := pop(&m.waiting)
		if t == nil && m.ready {
			t = pop(&r.waiting)
		}
		if t == nil {
			return
		}
		r.grantLocked(t)
	}
}

// grantLocked routes a waiting connection anew: in the meantime its session
// may have come or gone.
func (r *Router) grantLocked(t *Ticket) {
	route, wait := r.routeLocked(&t.query)
	if wait != nil {
		t.push(wait)
		return
	}
	t.ready <- route
}

// regrantLocked routes those anew who wait in queue.
func (r *Router) regrantLocked(queue *list.List) {
	for range queue.Len() { // some may come back to it
		r.grantLocked(pop(queue))
	}
}
