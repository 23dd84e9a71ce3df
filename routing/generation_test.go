package routing

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// join adds a ready member in a seat with room for window connections.
func join(r *Router, slot, generation, window int) *Member {
	m := r.Join(Seat{slot, generation, window}, nil)
	r.Add(m, false)
	return m
}

func TestNewSessionsGoToTheNewestGenerationWithRoom(t *testing.T) {
	for _, balance := range []string{"least-connection", "round-robin", "random"} {
		t.Run(balance, func(t *testing.T) {
			r, _ := newRouter(t, balance, 1, 0, nil)
			r.PreferNewest(true)
			old := join(r, 1, 1, 1)
			newest := join(r, 2, 3, 1)
			older := join(r, 3, 2, 1)
			for _, want := range []*Member{newest, older, old} {
				if to := mustRoute(t, r, Query{}); to.Member != want {
					t.Errorf("routed to generation %d, want %d", to.Member.Generation, want.Generation)
				}
			}
			_, ticket := r.Route(Query{})
			waiting(t, ticket)
			r.Taken(older, 1)
			if to := granted(t, ticket); to.Member != older {
				t.Errorf("granted to generation %d", to.Member.Generation)
			}
			r.Taken(old, 1)
			if to := mustRoute(t, r, Query{From: older}); to.Member != old {
				t.Error("not routed to the one with room")
			}
		})
	}
}

func TestGenerationsDoNotMatterOnceARestartIsOver(t *testing.T) {
	r, _ := newRouter(t, "round-robin", 9, 0, nil)
	old, fresh := join(r, 1, 1, 9), join(r, 2, 2, 9)
	got := map[*Member]int{}
	for range 8 {
		got[mustRoute(t, r, Query{}).Member]++
	}
	if got[old] != 4 || got[fresh] != 4 {
		t.Errorf("%d and %d connections, want 4 each", got[old], got[fresh])
	}
}

func TestWhoDeclinedIsPassedOverForAnOlderGeneration(t *testing.T) {
	r, _ := newRouter(t, "round-robin", 9, 0, nil)
	old, fresh := join(r, 1, 1, 9), join(r, 1, 2, 9)
	if to := mustRoute(t, r, Query{From: fresh}); to.Member != old {
		t.Error("who declined got it again")
	}
}

func TestEachMemberHasAWindowOfItsOwn(t *testing.T) {
	r, _ := newRouter(t, "round-robin", 0, 0, nil)
	narrow, wide := join(r, 1, 1, 1), join(r, 2, 1, 3)
	for range 4 {
		mustRoute(t, r, Query{})
	}
	if _, ok := r.Try(&Query{}); ok || narrow.inFlight != 1 || wide.inFlight != 3 {
		t.Errorf("%d and %d in flight, want 1 and 3", narrow.inFlight, wide.inFlight)
	}
}

// While members are replaced one by one, a client's slot does not change, and
// it gets the slot's newest member, whatever the generations of the others.
func TestClientsKeepTheirSlotWhileMembersAreReplaced(t *testing.T) {
	const slots, clients = 4, 200
	r, m := newRouter(t, "client-address", 1<<20, slots, nil)
	home := make([]int, clients)
	for c := range clients {
		home[c] = mustRoute(t, r, client(c)).Member.Slot
	}
	check := func() {
		t.Helper()
		for c := range clients {
			if to := mustRoute(t, r, client(c)); to.Member.Slot != home[c] || to.Member != m[home[c]] {
				t.Fatalf("client %d of slot %d: slot %d, generation %d", c, home[c], to.Member.Slot, to.Member.Generation)
			}
		}
	}
	for _, slot := range []int{2, 4, 1, 3} {
		old := m[slot]
		m[slot] = join(r, slot, 1, 1<<20)
		check()
		r.Retire(old)
		check()
	}
	crashed := m[2]
	m[2] = join(r, 2, 1, 1<<20) // of the same generation: the later one is the newer
	check()
	r.Remove(crashed, time.Time{})
	check()
}

func TestBoundClientOfAFullMemberWaitsForTheNewestInItsSlot(t *testing.T) {
	r, _ := newRouter(t, "client-address", 0, 0, nil)
	join(r, 1, 1, 5)
	fresh := join(r, 1, 2, 1)
	mustRoute(t, r, client(1))
	_, ticket := r.Route(client(1))
	waiting(t, ticket)
	r.Taken(fresh, 1)
	if to := granted(t, ticket); to.Member != fresh {
		t.Error("granted to the older one")
	}
}

// Two members in one slot are two members, for who goes by turns.
func TestTurnsCountMembersAndNotSlots(t *testing.T) {
	for _, balance := range []string{"least-connection", "round-robin"} {
		t.Run(balance, func(t *testing.T) {
			r, _ := newRouter(t, balance, 0, 0, nil)
			for _, slot := range []int{1, 2, 1, 2, 3} {
				join(r, slot, 1, 100)
			}
			var got []string
			for range 10 {
				to := mustRoute(t, r, Query{})
				got = append(got, fmt.Sprint(to.Member.Slot, to.Member.incarnation))
				r.Release(to)
			}
			want := []string{"1 1", "1 3", "2 2", "2 4", "3 5"}
			if !slices.Equal(got, append(want, want...)) {
				t.Error("slots and incarnations:", got)
			}
		})
	}
}

func returned(id string, from *Member) Query {
	return Query{Session: []byte(id), From: from, Returned: true}
}

func TestWhatARetiredMemberGivesBackGoesElsewhere(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 2, nil)
	r.Bind(m[1], []byte("own"))
	r.Retire(m[1])
	for _, id := range []string{"", "nobody's"} {
		to := mustRoute(t, r, returned(id, m[1]))
		if to.Member != m[2] {
			t.Errorf("%q went back to who is retired", id)
		}
		r.Release(to)
	}
	if to := mustRoute(t, r, returned("own", m[1])); to.Member != m[1] || !to.Session {
		t.Error("a session's went to another than its owner")
	} else {
		r.Release(to)
	}
	mustRoute(t, r, Query{}) // to 2, which is full now
	_, ticket := r.Route(returned("nobody's", m[1]))
	waiting(t, ticket)
	r.Retire(m[2]) // nobody is left
	if to := granted(t, ticket); to.Member != m[1] {
		t.Error("granted to", to.Member.Slot)
	} else {
		r.Release(to)
	}
	if to := mustRoute(t, r, returned("", m[1])); to.Member != m[1] {
		t.Error("routed to slot", to.Member.Slot)
	}
}

func TestWhoWaitsForARetiredMemberGoesElsewhereUnlessItsSessionIsThere(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 2, nil)
	r.Bind(m[1], []byte("s"))
	mustRoute(t, r, sid("s"))
	_, bound := r.Route(sid("s"))
	_, back := r.Route(returned("nobody's", m[1]))
	waiting(t, back)
	r.Retire(m[1])
	if to := granted(t, back); to.Member != m[2] {
		t.Error("granted to", to.Member.Slot)
	}
	waiting(t, bound)
	r.Taken(m[1], 1)
	if to := granted(t, bound); to.Member != m[1] || !to.Session {
		t.Error("granted to", to.Member.Slot)
	}
}

// A change of the balancer reaches those who wait as well.
func TestSetBalancer(t *testing.T) {
	r, m := newRouter(t, "client-address", 1, 2, nil)
	first := mustRoute(t, r, client(7))
	_, ticket := r.Route(client(7))
	waiting(t, ticket)
	roundRobin, _ := NewBalancer("round-robin")
	r.SetBalancer(roundRobin)
	second := granted(t, ticket)
	if second.Member == first.Member {
		t.Error("it waited for its address still")
	}
	_, anywhere := r.Route(client(7))
	waiting(t, anywhere)
	byAddress, _ := NewBalancer("client-address")
	r.SetBalancer(byAddress)
	r.Taken(second.Member, 1)
	waiting(t, anywhere)
	r.Taken(first.Member, 1)
	if to := granted(t, anywhere); to.Member != first.Member {
		t.Error("granted to", to.Member.Slot)
	}
	if m[1].waiting.Len()+m[2].waiting.Len()+r.waiting.Len() != 0 {
		t.Error("somebody is left waiting")
	}
}
