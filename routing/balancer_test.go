package routing

import (
	"fmt"
	"net/netip"
	"testing"
)

// membersWith returns members in slots 1, 2, … that have these loads.
func membersWith(loads ...int) []*Member {
	var members []*Member
	for i, load := range loads {
		members = append(members, &Member{Seat: Seat{Slot: i + 1}, pending: load, sessions: func() int { return 0 }})
	}
	return members
}

// pick lets a balancer choose n times and counts by slot; each pick is load.
func pick(b Balancer, members []*Member, n int) map[int]int {
	counts := make(map[int]int)
	for range n {
		m := b.Pick(members, Query{})
		m.pending++
		counts[m.Slot]++
	}
	return counts
}

func TestLeastConnectionPicksTheLeastLoaded(t *testing.T) {
	members := membersWith(5, 3, 4)
	b, _ := NewBalancer("least-connection")
	if counts := pick(b, members, 6); counts[1] != 1 || counts[2] != 3 || counts[3] != 2 {
		t.Error("picks by slot:", counts)
	}
}

func TestLeastConnectionTakesTurnsAmongEquals(t *testing.T) {
	members := membersWith(0, 0, 0)
	b, _ := NewBalancer("least-connection")
	var slots []int
	for range 6 { // each connection ends before the next one comes
		slots = append(slots, b.Pick(members, Query{}).Slot)
	}
	for i, slot := range slots {
		if slot != i%3+1 {
			t.Fatal("picks:", slots)
		}
	}
}

func TestLeastConnectionLevelsAReplacementWithoutFloodingIt(t *testing.T) {
	for _, n := range []int{2, 4, 16} {
		loads := make([]int, n)
		for i := range loads[1:] {
			loads[i+1] = 1000
		}
		members := membersWith(loads...)
		b, _ := NewBalancer("least-connection")
		share := min(2/float64(n), 0.75)
		if got := pick(b, members, 400)[1]; float64(got) < 400*share-2 || float64(got) > 400*share+2 {
			t.Errorf("%d workers: the replacement got %d of the first 400, want %.0f", n, got, 400*share)
		}
		pick(b, members, 4000*n)
		for _, m := range members {
			if d := m.pending - members[0].pending; d > 130+behind || d < -behind {
				t.Errorf("%d workers: never level: worker %d has %d, the replacement %d", n, m.Slot, m.pending, members[0].pending)
			}
		}
	}
}

func TestRoundRobinSkipsWhoIsMissing(t *testing.T) {
	all := membersWith(0, 0, 0)
	b, _ := NewBalancer("round-robin")
	var slots []int
	for _, members := range [][]*Member{all, all, all, all[:2], all[:2], all, {all[0], all[2]}, {all[0], all[2]}} {
		slots = append(slots, b.Pick(members, Query{}).Slot)
	}
	want := []int{1, 2, 3, 1, 2, 3, 1, 3}
	for i := range want {
		if slots[i] != want[i] {
			t.Fatalf("picks %v, want %v", slots, want)
		}
	}
}

func TestRandomPicksAllAlike(t *testing.T) {
	b, _ := NewBalancer("random")
	counts := pick(b, membersWith(0, 0, 0, 0), 40_000)
	for slot := 1; slot <= 4; slot++ {
		if n := counts[slot]; n < 9_000 || n > 11_000 { // 11 standard deviations
			t.Error("picks by slot:", counts)
		}
	}
}

func client(n int) Query {
	return Query{Client: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}
}

func TestRendezvousMovesOnlyTheClientsOfWhoIsGone(t *testing.T) {
	const clients = 4000
	b, _ := NewBalancer("client-address")
	all := membersWith(0, 0, 0, 0)
	counts := make(map[int]int)
	moved := make(map[int]int)
	for i := range clients {
		home := b.Pick(all, client(i)).Slot
		counts[home]++
		without := b.Pick([]*Member{all[0], all[2], all[3]}, client(i)).Slot
		if home != 2 && without != home {
			t.Fatalf("client %d of worker %d moved to %d when worker 2 went", i, home, without)
		}
		if home == 2 {
			moved[without]++
		}
	}
	for slot, n := range counts {
		if n < 850 || n > 1150 { // 1000, 5 standard deviations
			t.Errorf("worker %d has %d of %d clients", slot, n, clients)
		}
	}
	if len(moved) != 3 {
		t.Error("the clients of who went moved to", moved)
	}
}

func TestRendezvousTakesNetworksForClients(t *testing.T) {
	b, _ := NewBalancer("forwarded-for")
	members := membersWith(make([]int, 64)...)
	slot := func(addr string) int { return b.Pick(members, Query{Client: netip.MustParseAddr(addr)}).Slot }
	if slot("2001:db8:1:2::1") != slot("2001:db8:1:2:ffff::9") {
		t.Error("two addresses of one /64 go to two workers")
	}
	if slot("::ffff:192.0.2.1") != slot("192.0.2.1") {
		t.Error("an IPv4-mapped address is another client")
	}
	if slot("2001:db8:1:2::1") == slot("2001:db8:1:3::1") && slot("2001:db8:1:4::1") == slot("2001:db8:1:5::1") &&
		slot("2001:db8:1:2::1") == slot("2001:db8:1:4::1") {
		t.Error("four networks are one client")
	}
}

func TestUnknownBalancer(t *testing.T) {
	if _, err := NewBalancer("fair"); err == nil {
		t.Error("there is a balancer called fair")
	}
	for _, name := range Balancers {
		if _, err := NewBalancer(name); err != nil {
			t.Error(err)
		}
	}
}

func TestLeastConnectionDoesNotFloodSeveralReplacements(t *testing.T) {
	const members, picks = 20, 100
	for fresh := 1; fresh <= 4; fresh++ {
		b, err := NewBalancer("least-connection")
		if err != nil {
			t.Fatal(err)
		}
		r := NewRouter(b, NewTable(NewKey()), func() {})
		var all []*Member
		for i := range members {
			m := r.Join(Seat{Slot: i + 1, Window: 1 << 20}, nil)
			if i >= fresh {
				m.pending = 100
			}
			r.Add(m, false)
			all = append(all, m)
		}
		for range picks {
			r.Route(Query{})
		}
		const share = picks / members
		for _, m := range all[:fresh] {
			if m.pending < share || m.pending > 2*share+1 {
				t.Errorf("%d of %d are fresh: one got %d of %d, want %d to %d", fresh, members, m.pending, picks, share, 2*share)
			}
		}
	}
}

// A survivor among replacements is spared, however many they are.
func TestLeastConnectionSparesTheSurvivor(t *testing.T) {
	const picks = 20_000
	for _, n := range []int{2, 3, 5, 10, 32} {
		b, err := NewBalancer("least-connection")
		if err != nil {
			t.Fatal(err)
		}
		members := make([]*Member, n)
		for i := range members {
			members[i] = &Member{Seat: Seat{Slot: i + 1}, sessions: func() int { return 0 }}
		}
		members[0].pending = 1000
		got := 0
		for range picks {
			m := b.Pick(members, Query{})
			m.pending++
			if m == members[0] {
				got++
			}
		}
		if got > picks/n {
			t.Errorf("%d members: the busiest got %d of %d, more than its share", n, got, picks)
		}
	}
}

// Sessions come and go while a member is picked: they are not under the
// router's lock.
func TestLeastConnectionBesideSessionsThatEnd(t *testing.T) {
	b, err := NewBalancer("least-connection")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRouter(b, NewTable(NewKey()), func() {})
	one, other := r.Join(Seat{Slot: 1, Window: 1 << 30}, nil), r.Join(Seat{Slot: 2, Window: 1 << 30}, nil)
	r.Add(one, false)
	r.Add(other, false)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for i := range 40 {
				r.Bind(one, fmt.Append(nil, i))
			}
			for i := range 40 {
				r.Unbind(one, fmt.Append(nil, i))
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 300_000 {
		to, _ := r.Route(Query{})
		r.Release(to)
	}
	close(stop)
	<-ended
}
