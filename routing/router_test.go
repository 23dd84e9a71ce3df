package routing

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newRouter returns a router with n ready members, by slot from 1 on.
func newRouter(t *testing.T, balance string, window, n int, sync func()) (*Router, []*Member) {
	t.Helper()
	b, err := NewBalancer(balance)
	if err != nil {
		t.Fatal(err)
	}
	if sync == nil {
		sync = func() {}
	}
	r := NewRouter(b, NewTable(NewKey()), sync)
	members := []*Member{nil}
	for slot := 1; slot <= n; slot++ {
		m := r.Join(Seat{Slot: slot, Window: window}, slot)
		r.Add(m, false)
		members = append(members, m)
	}
	return r, members
}

func sid(id string) Query { return Query{Session: []byte(id)} }

// mustRoute returns the slot of a route that must come at once.
func mustRoute(t *testing.T, r *Router, q Query) Route {
	t.Helper()
	to, ticket := r.Route(q)
	if ticket != nil {
		t.Fatal("no room for", string(q.Session))
	}
	return to
}

func granted(t *testing.T, ticket *Ticket) Route {
	t.Helper()
	select {
	case to := <-ticket.Ready():
		return to
	case <-time.After(time.Minute):
		t.Fatal("a ticket is not granted")
	}
	panic("unreachable")
}

func waiting(t *testing.T, ticket *Ticket) {
	t.Helper()
	if ticket == nil {
		t.Fatal("routed at once, and should wait")
	}
	select {
	case to := <-ticket.Ready():
		t.Fatal("granted to worker", to.Member.Slot, "and should wait")
	default:
	}
}

func TestSessionGoesToItsOwnerEvenWhenRetired(t *testing.T) {
	r, m := newRouter(t, "round-robin", 100, 3, nil)
	r.Bind(m[2], []byte("s"))
	r.Retire(m[2])
	for range 5 {
		if to := mustRoute(t, r, sid("s")); to.Member != m[2] || !to.Session {
			t.Error("routed to", to.Member.Slot, to.Session)
		}
		if to := mustRoute(t, r, sid("other")); to.Member == m[2] || to.Session {
			t.Error("a new session came to a retired worker")
		}
	}
	if n := r.Remove(m[2], time.Time{}); n != 1 {
		t.Error("Remove lost", n)
	}
	if to := mustRoute(t, r, sid("s")); to.Member == m[2] {
		t.Error("routed to one who is gone")
	}
}

func TestRegistrationThatIsOnItsWayIsWaitedFor(t *testing.T) {
	var r *Router
	var m []*Member
	syncs := 0
	r, m = newRouter(t, "round-robin", 100, 3, func() {
		syncs++
		r.Bind(m[3], []byte("fresh")) // it was in the socket
	})
	if to := mustRoute(t, r, sid("fresh")); to.Member != m[3] || !to.Session || to.Lookup != Rescued {
		t.Error("routed to", to.Member.Slot, "lookup", to.Lookup)
	}
	mustRoute(t, r, sid("fresh"))
	mustRoute(t, r, Query{})
	if syncs != 1 {
		t.Errorf("%d syncs, want one: for the miss", syncs)
	}
}

func TestEveryMissSeesASyncThatBeganAfterIt(t *testing.T) {
	var began, running atomic.Int64
	b := newBarrier(func() {
		if running.Add(1) != 1 {
			t.Error("two syncs at once")
		}
		began.Add(1)
		running.Add(-1)
	})
	const misses = 20_000
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for range misses / 8 {
				before := began.Load()
				b.pass()
				if began.Load() <= before {
					t.Error("passed without a sync that began later")
				}
			}
		})
	}
	users.Wait()
	if began.Load() > misses {
		t.Errorf("%d syncs for %d misses", began.Load(), misses)
	}
}

func TestBurstSpreadsBeforeAnySessionIsRegistered(t *testing.T) {
	r, m := newRouter(t, "least-connection", 1000, 4, nil)
	for range 1000 {
		mustRoute(t, r, Query{})
	}
	for _, m := range m[1:] {
		if m.inFlight != 250 {
			t.Errorf("worker %d got %d", m.Slot, m.inFlight)
		}
	}
}

func TestLoadIsSessionsAndConnectionsThatAreNeitherSessionNorClosed(t *testing.T) {
	r, m := newRouter(t, "least-connection", 1000, 1, nil)
	for i := range 3 { // three handshakes, each of which becomes a session
		mustRoute(t, r, Query{})
		r.Bind(m[1], fmt.Append(nil, i))
		r.Settled(m[1], 1)
	}
	mustRoute(t, r, sid("1")) // a poll: part of its session
	mustRoute(t, r, Query{})  // a page
	if m[1].load() != 4 {
		t.Error("load", m[1].load(), "want three sessions and one connection")
	}
	r.Settled(m[1], 1) // the page's connection ends
	r.Unbind(m[1], []byte("2"))
	if m[1].load() != 2 {
		t.Error("load", m[1].load(), "want two sessions")
	}
}

func TestFullWorkerIsPassedOverByNewSessionsAndWaitedForByItsOwn(t *testing.T) {
	r, m := newRouter(t, "round-robin", 2, 2, nil)
	r.Bind(m[1], []byte("s"))
	mustRoute(t, r, sid("s"))
	mustRoute(t, r, sid("s"))
	_, first := r.Route(sid("s"))
	_, second := r.Route(sid("s"))
	waiting(t, first)
	waiting(t, second)
	mustRoute(t, r, Query{})
	if to := mustRoute(t, r, Query{}); to.Member != m[2] {
		t.Error("a new session came to a full worker")
	}
	_, anywhere := r.Route(Query{})
	waiting(t, anywhere)

	r.Taken(m[1], 1)
	if to := granted(t, first); to.Member != m[1] || !to.Session {
		t.Error("granted to", to.Member.Slot)
	}
	waiting(t, second)
	r.Taken(m[2], 1)
	if to := granted(t, anywhere); to.Member != m[2] {
		t.Error("granted to", to.Member.Slot)
	}
	waiting(t, second)
	r.Taken(m[1], 1)
	granted(t, second)
}

func TestColdStartWaitsForTheFirstWorker(t *testing.T) {
	r, _ := newRouter(t, "least-connection", 2, 0, nil)
	var tickets []*Ticket
	for range 5 {
		_, ticket := r.Route(Query{})
		waiting(t, ticket)
		tickets = append(tickets, ticket)
	}
	m := r.Join(Seat{Slot: 1, Window: 2}, nil)
	r.Add(m, false)
	granted(t, tickets[0])
	granted(t, tickets[1])
	waiting(t, tickets[2])
	r.Taken(m, 2)
	granted(t, tickets[2])
	granted(t, tickets[3])
	waiting(t, tickets[4])
}

func TestWhoWaitedForADeadOwnerGoesElsewhere(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 2, nil)
	r.Bind(m[1], []byte("s"))
	mustRoute(t, r, sid("s"))
	_, ticket := r.Route(sid("s"))
	waiting(t, ticket)
	r.Remove(m[1], time.Time{})
	if to := granted(t, ticket); to.Member != m[2] || to.Session {
		t.Error("granted to", to.Member.Slot)
	}
}

func TestAddressWaitsForItsWorker(t *testing.T) {
	r, _ := newRouter(t, "client-address", 1, 3, nil)
	to := mustRoute(t, r, client(7))
	_, ticket := r.Route(client(7))
	waiting(t, ticket)
	r.Taken(to.Member, 1)
	if again := granted(t, ticket); again.Member != to.Member {
		t.Error("the same client reached another worker")
	}
}

func TestReturnedConnectionGoesToTheOwnerOrBack(t *testing.T) {
	r, m := newRouter(t, "round-robin", 10, 3, nil)
	r.Bind(m[3], []byte("s"))
	for _, tt := range []struct {
		id   string
		want *Member
	}{{"s", m[3]}, {"nobody's", m[2]}} {
		q := sid(tt.id)
		q.From, q.Returned = m[2], true
		if to := mustRoute(t, r, q); to.Member != tt.want {
			t.Errorf("%s: routed to %d, want %d", tt.id, to.Member.Slot, tt.want.Slot)
		}
	}
	r.Remove(m[2], time.Time{})
	q := sid("nobody's")
	q.From, q.Returned = m[2], true
	if to := mustRoute(t, r, q); to.Member == m[2] {
		t.Error("routed back to one who is gone")
	}
}

func TestWhoDeclinedIsAskedAgainOnlyIfNobodyElseIsThere(t *testing.T) {
	r, m := newRouter(t, "round-robin", 10, 2, nil)
	for range 4 {
		if to := mustRoute(t, r, Query{From: m[1]}); to.Member == m[1] {
			t.Error("who declined got it again")
		}
	}
	r.Remove(m[2], time.Time{})
	if to := mustRoute(t, r, Query{From: m[1]}); to.Member != m[1] {
		t.Error("routed to one who is gone")
	}
}

func TestCancelledTicketGetsNothing(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 1, nil)
	mustRoute(t, r, Query{})
	_, first := r.Route(Query{})
	_, second := r.Route(Query{})
	if _, came := r.Cancel(first); came {
		t.Error("it had come already")
	}
	r.Taken(m[1], 1)
	granted(t, second)
	_, third := r.Route(Query{})
	r.Taken(m[1], 1)
	if to, came := r.Cancel(third); !came || to.Member != m[1] {
		t.Error("what had come was lost")
	} else {
		r.Release(to)
	}
	if m[1].inFlight != 0 || r.waiting.Len() != 0 {
		t.Errorf("%d in flight, %d waiting", m[1].inFlight, r.waiting.Len())
	}
}

// TestNoRoomIsLost has connections come, wait, give up and be taken, and
// workers come and go, and sees that at the end nothing is in flight.
func TestNoRoomIsLost(t *testing.T) {
	r, _ := newRouter(t, "least-connection", 3, 0, nil)
	var mu sync.Mutex
	members := make(map[int]*Member)
	restart := func(slot int) {
		mu.Lock()
		defer mu.Unlock()
		if old := members[slot]; old != nil {
			r.Remove(old, time.Time{})
		}
		members[slot] = r.Join(Seat{Slot: slot, Window: 3}, nil)
		r.Add(members[slot], false)
	}
	for slot := 1; slot <= 3; slot++ {
		restart(slot)
	}
	var users sync.WaitGroup
	for u := range 16 {
		users.Go(func() {
			rnd := rand.New(rand.NewPCG(3, uint64(u)))
			for i := range 500 {
				q := Query{}
				if rnd.IntN(2) == 0 {
					q = sid(fmt.Sprint(rnd.IntN(20)))
				}
				to, ticket := r.Route(q)
				if ticket != nil {
					if rnd.IntN(4) == 0 {
						var came bool
						if to, came = r.Cancel(ticket); !came {
							continue
						}
					} else {
						to = granted(t, ticket)
					}
				}
				switch rnd.IntN(3) {
				case 0:
					r.Release(to)
				default:
					r.Bind(to.Member, fmt.Append(nil, rnd.IntN(20)))
					if !to.Session {
						r.Settled(to.Member, 1)
					}
					r.Taken(to.Member, 1)
				}
				if u == 0 && i%50 == 0 {
					restart(1 + rnd.IntN(3))
				}
			}
		})
	}
	users.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range members {
		if m.inFlight != 0 || m.pending != 0 || m.waiting.Len() != 0 {
			t.Errorf("worker %d: %d in flight, %d pending, %d waiting", m.Slot, m.inFlight, m.pending, m.waiting.Len())
		}
	}
	if r.waiting.Len() != 0 {
		t.Error(r.waiting.Len(), "still wait")
	}
}
