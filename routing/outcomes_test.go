package routing

import (
	"slices"
	"testing"
	"time"
)

// What a slot's members did is counted for the slot, whoever follows.
func TestOutcomesSurviveTheirMember(t *testing.T) {
	r, m := newRouter(t, "round-robin", 9, 2, nil)
	for range 3 {
		r.Handed(Route{Member: m[1]})
	}
	r.Returned(m[1])
	heir := join(r, 1, 1, 9)
	r.Remove(m[1], time.Time{})
	r.Rerouted(m[1])
	r.Handed(Route{Member: heir})
	r.Handed(Route{Member: m[2]})
	want := []SlotOutcomes{{1, 4, 1, 1}, {2, 1, 0, 0}}
	if got := r.Outcomes(); !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

// handed routes like the front and returns what came of the lookup.
func handed(t *testing.T, r *Router, q Query) Lookup {
	t.Helper()
	to, ok := r.Try(&q)
	if !ok {
		to = mustRoute(t, r, q)
	}
	r.Handed(to)
	return to.Lookup
}

func TestLookupsAreCountedByOutcome(t *testing.T) {
	var r *Router
	var m []*Member
	arriving := "" // its registration is in the socket
	r, m = newRouter(t, "round-robin", 100, 2, func() {
		if arriving != "" {
			r.Bind(m[2], []byte(arriving))
		}
	})
	r.Bind(m[1], []byte("known"))
	r.Bind(m[2], []byte("dead"))
	r.Remove(m[2], time.Unix(1, 0))
	m[2] = join(r, 2, 0, 100)
	for _, tt := range []struct {
		id, arriving string
		want         Lookup
	}{
		{"", "", NoID},
		{"known", "", Found},
		{"fresh", "fresh", Rescued},
		{"fresh", "", Found},
		{"dead", "", Dead},
		{"stranger", "", Never},
		{"dead", "dead", Rescued}, // it has begun again
	} {
		arriving = tt.arriving
		if got := handed(t, r, sid(tt.id)); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.id, got, tt.want)
		}
	}
	if got := r.Lookups(); got != (Lookups{2, 2, 1, 1}) {
		t.Errorf("%+v", got)
	}
}

// A miss at first sight is remembered over the caller's Sync.
func TestLookupAfterASyncIsARescue(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 1, nil)
	q := sid("s")
	if _, ok := r.Try(&q); ok || !q.Missed {
		t.Error("not missed")
	}
	r.Bind(m[1], q.Session)
	q.Synced = true
	if to := mustRoute(t, r, q); to.Lookup != Rescued {
		t.Error("lookup", to.Lookup)
	}
	full := sid("s")
	if _, ok := r.Try(&full); ok || full.Missed {
		t.Error("to be found and to have no room is no miss")
	}
}

func TestParkingRescues(t *testing.T) {
	r, m := newLateRouter(t, 10)
	rescued, gaveUp := mustPark(t, r, "s"), mustPark(t, r, "other")
	r.Bind(m[1], []byte("s"))
	r.Unpark(gaveUp)
	if to := granted(t, rescued); to.Lookup != Rescued {
		t.Error("lookup", to.Lookup)
	}
	if to := granted(t, gaveUp); to.Lookup != Never {
		t.Error("lookup", to.Lookup)
	}
}

func TestWhoWaitedForRoomWhileItsSessionCameIsRescued(t *testing.T) {
	r, m := newRouter(t, "round-robin", 1, 1, nil)
	mustRoute(t, r, Query{})
	q := sid("s")
	q.Synced = true
	_, ticket := r.Route(q)
	waiting(t, ticket)
	r.Bind(m[1], []byte("s"))
	r.Taken(m[1], 1)
	if to := granted(t, ticket); to.Lookup != Rescued || !to.Session {
		t.Error("lookup", to.Lookup)
	}
}
