package routing

import (
	"fmt"
	"testing"
	"time"
)

// newLateRouter returns a router with two members that register late, and have had
// a connection.
func newLateRouter(t *testing.T, window int) (*Router, []*Member) {
	t.Helper()
	r, m := newRouter(t, "round-robin", window, 0, nil)
	for slot := 1; slot <= 2; slot++ {
		member := r.Join(Seat{Slot: slot, Window: window}, slot)
		r.Add(member, true)
		visit(t, r, member)
		m = append(m, member)
	}
	return r, m
}

// visit lets a member have had a connection.
func visit(t *testing.T, r *Router, m *Member) {
	t.Helper()
	to := mustRoute(t, r, Query{From: m, Returned: true})
	if to.Member != m {
		t.Fatal("routed to", to.Member.Slot)
	}
	r.Taken(m, 1)
	r.Settled(m, 1)
}

func mustPark(t *testing.T, r *Router, id string) *Ticket {
	t.Helper()
	_, ticket := r.Route(sid(id))
	if ticket == nil || !ticket.Parked() {
		t.Fatalf("%s is not parked", id)
	}
	return ticket
}

func TestParkedConnectionGoesOnWhenItsSessionIsRegistered(t *testing.T) {
	r, m := newLateRouter(t, 10)
	first, second, other := mustPark(t, r, "s"), mustPark(t, r, "s"), mustPark(t, r, "other")
	waiting(t, first)
	r.Bind(m[2], []byte("s"))
	for _, ticket := range []*Ticket{first, second} {
		if to := granted(t, ticket); to.Member != m[2] || !to.Session {
			t.Errorf("granted to %d, session %t", to.Member.Slot, to.Session)
		}
		r.Unpark(ticket) // the timer, a moment later
	}
	waiting(t, other)
	r.Unpark(other)
	if to := granted(t, other); to.Session {
		t.Error("an id that was never registered is a session's")
	}
	if len(r.parked) != 0 {
		t.Error("left behind:", r.parked)
	}
	mustRoute(t, r, sid("s")) // known now
}

func TestParkedConnectionWaitsForRoomLikeAnyOther(t *testing.T) {
	r, m := newLateRouter(t, 1)
	mustRoute(t, r, Query{}) // to 1
	ticket := mustPark(t, r, "s")
	r.Bind(m[1], []byte("s"))
	waiting(t, ticket)
	r.Unpark(ticket)
	waiting(t, ticket)
	r.Taken(m[1], 1)
	granted(t, ticket)
}

func TestParkingIsOnlyForThoseWhoRegisterLate(t *testing.T) {
	r, m := newLateRouter(t, 100)
	mustRoute(t, r, Query{})
	once := sid("s")
	once.Parked = true
	mustRoute(t, r, once)
	gaveUp := mustPark(t, r, "s")
	if _, came := r.Cancel(gaveUp); came || len(r.parked) != 0 {
		t.Error("canceled and still parked")
	}
	prompt := r.Join(Seat{Slot: 3, Window: 100}, 3)
	r.Add(prompt, false)
	r.Remove(m[1], time.Time{})
	mustPark(t, r, "s")
	r.Retire(m[2]) // still has sessions, and may register some
	mustPark(t, r, "s")
	r.Remove(m[2], time.Time{})
	mustRoute(t, r, sid("s"))
}

// An id waits only where a worker may be about to register it.
func TestIdDoesNotWaitForWhatCannotCome(t *testing.T) {
	r, m := newRouter(t, "round-robin", 100, 2, nil)
	visit(t, r, m[1])
	mustRoute(t, r, Query{Session: []byte("s"), From: m[2]})
	r.SetLate(m[2], true) // which no client has reached yet
	mustRoute(t, r, Query{Session: []byte("s"), From: m[2]})
	visit(t, r, m[2])
	mustPark(t, r, "s")
	r.Bind(m[1], []byte("dead"))
	r.Remove(m[1], time.Time{})
	mustRoute(t, r, sid("dead"))
	r.SetLate(m[2], false)
	mustRoute(t, r, sid("s"))
}

// Those that wait go on when the last worker that could register their ids is
// gone, or registers early from now on.
func TestParkedConnectionsGoOnWhenTheirRegistrationCannotCome(t *testing.T) {
	for _, last := range []func(*Router, *Member){
		func(r *Router, m *Member) { r.Remove(m, time.Time{}) },
		func(r *Router, m *Member) { r.SetLate(m, false) },
	} {
		r, m := newLateRouter(t, 100)
		r.Add(r.Join(Seat{Slot: 3, Window: 100}, 3), false)
		first, second := mustPark(t, r, "s"), mustPark(t, r, "other")
		r.Remove(m[1], time.Time{})
		waiting(t, first)
		last(r, m[2])
		for _, ticket := range []*Ticket{first, second} {
			if to := granted(t, ticket); to.Session || to.Lookup != Never {
				t.Errorf("granted to %d, lookup %d", to.Member.Slot, to.Lookup)
			}
		}
		if len(r.parked) != 0 {
			t.Error("left behind:", r.parked)
		}
	}
}

func TestParkingIsBounded(t *testing.T) {
	r, _ := newLateRouter(t, 1<<20)
	for i := range maxParked {
		mustPark(t, r, fmt.Sprint(i))
	}
	mustRoute(t, r, sid("one more"))
}
