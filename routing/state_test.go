package routing

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// handOver makes a router that goes on in r's place, and its members. The
// states go the way of an upgrade, as JSON.
func handOver(t *testing.T, r *Router, members []*Member) (*Router, []*Member) {
	t.Helper()
	var table bytes.Buffer
	if _, err := r.table.WriteTo(&table); err != nil {
		t.Fatal(err)
	}
	states := make([]MemberState, len(members))
	for i, m := range members {
		states[i] = m.State()
	}
	counted, err := json.Marshal(r.State())
	if err != nil {
		t.Fatal(err)
	}
	joined, err := json.Marshal(states)
	if err != nil {
		t.Fatal(err)
	}

	thawed, err := ReadTable(&table)
	if err != nil {
		t.Fatal(err)
	}
	heir := NewRouter(r.balancer, thawed, func() {})
	var state RouterState
	var rejoining []MemberState
	if err := json.Unmarshal(counted, &state); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(joined, &rejoining); err != nil {
		t.Fatal(err)
	}
	heir.Restore(state)
	var rejoined []*Member
	for i, s := range rejoining {
		m, err := heir.Rejoin(s, members[i].Target)
		if err != nil {
			t.Fatal(err)
		}
		rejoined = append(rejoined, m)
	}
	return heir, rejoined
}

func TestRouterGoesOnInAnothersPlace(t *testing.T) {
	r, _ := newRouter(t, "round-robin", 0, 0, nil)
	members := []*Member{ // ready, ready, retired, and not yet ready
		r.Join(Seat{1, 3, 2}, "one"), r.Join(Seat{2, 3, 4}, "two"), r.Join(Seat{3, 2, 8}, "three"), r.Join(Seat{3, 3, 8}, "four"),
	}
	for _, m := range members[:3] {
		r.Add(m, m.Slot == 3)
	}
	r.Bind(members[2], []byte("s"))
	r.Retire(members[2])
	for range 2 {
		r.Handed(mustRoute(t, r, sid("s")))
	}
	for range 5 { // 2 to the first, 3 to the second
		r.Handed(mustRoute(t, r, Query{}))
	}
	r.Returned(members[0])
	r.Settled(members[1], 1)
	before, counted := r.Members(), r.State()

	r, heirs := handOver(t, r, members)
	if got := r.Members(); !reflect.DeepEqual(got, before) {
		t.Errorf("members %+v, want %+v", got, before)
	}
	if got := r.State(); !reflect.DeepEqual(got, counted) {
		t.Errorf("counted %+v, want %+v", got, counted)
	}
	for i, m := range heirs {
		if m.Target != members[i].Target || m.State() != members[i].State() {
			t.Errorf("%v: %+v, want %+v", m.Target, m.State(), members[i].State())
		}
	}

	// What was in flight is taken, settled and released as if nothing had been.
	if to := mustRoute(t, r, Query{}); to.Member != heirs[1] {
		t.Error("the second has room, but it went to", to.Member.Target)
	}
	_, ticket := r.Route(Query{})
	waiting(t, ticket)
	r.Taken(heirs[0], 1)
	if to := granted(t, ticket); to.Member != heirs[0] {
		t.Error("granted to", to.Member.Target)
	}
	for range 2 {
		r.Release(Route{Member: heirs[0]})
	}
	r.Taken(heirs[1], 4)
	r.Settled(heirs[1], 3)
	r.Settled(heirs[0], 1)
	r.Taken(heirs[2], 2)
	for _, m := range heirs {
		if m.inFlight != 0 || m.pending != 0 {
			t.Errorf("%v: %d in flight, %d pending", m.Target, m.inFlight, m.pending)
		}
	}

	// Late, retired and joining members are so still.
	if to := mustRoute(t, r, sid("s")); to.Member != heirs[2] || !to.Session {
		t.Error("the session is", to.Member.Target, "'s")
	}
	mustPark(t, r, "late")
	r.Remove(heirs[2], time.Time{})
	mustRoute(t, r, sid("late"))
	r.Add(heirs[3], false)
	if !heirs[3].ready || heirs[3].incarnation != members[3].incarnation {
		t.Errorf("who was to become ready: %+v", heirs[3].State())
	}
	if m := r.Join(Seat{4, 3, 1}, nil); m.incarnation != 5 {
		t.Error("a new member is incarnation", m.incarnation)
	}
}

func TestRejoinRefuses(t *testing.T) {
	r, m := newRouter(t, "round-robin", 9, 2, nil)
	dead, joined := m[1].State(), m[2].State()
	r.Remove(m[1], time.Time{})
	seat := Seat{Slot: 1, Window: 1}
	torn := MemberState{Seat: seat, Incarnation: r.table.Open(), Ready: true, Retired: true}
	shut := MemberState{Incarnation: r.table.Open(), Ready: true}
	for _, s := range []MemberState{dead, joined, torn, shut, {Seat: seat}} {
		if _, err := r.Rejoin(s, nil); err == nil {
			t.Errorf("%+v rejoined", s)
		}
	}
}
