package routing

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
)

// A Balancer chooses a member for a connection that has no live session.
// The router calls it one at a time.
type Balancer interface {
	// Pick returns one of members, which are ready, ordered by slot, by
	// generation and by age, and never none.
	Pick(members []*Member, q Query) *Member

	// Bound says that the choice must not depend on who is busy: a connection
	// waits for its member. Otherwise members without room are left out.
	Bound() bool
}

// Balancers are the names that NewBalancer knows.
var Balancers = []string{"least-connection", "round-robin", "random", "client-address", "forwarded-for"}

// NewBalancer returns the balancer of that name. forwarded-for differs from
// client-address only in where the caller takes Query.Client from.
func NewBalancer(name string) (Balancer, error) {
	switch name {
	case "least-connection":
		return &leastConnection{}, nil
	case "round-robin":
		return &roundRobin{}, nil
	case "random":
		return random{}, nil
	case "client-address", "forwarded-for":
		return rendezvous{}, nil
	}
	return nil, fmt.Errorf("unknown balance %q: must be one of %s", name, strings.Join(Balancers, ", "))
}

// leastConnection picks the member with the least load; among equals the next
// one in turn. A member far behind the others, such as a replacement that has
// just started, is not flooded: it gets at most twice its share, so that it
// levels while the others go on.
type leastConnection struct {
	turn   place   // of the last one picked
	credit float64 // of the members that are behind, in connections
}

// behind is the difference in load to the mean from which on a member counts as
// catching up, beside a tenth of the mean.
const behind = 8

func (b *leastConnection) Pick(members []*Member, _ Query) *Member {
	var room [64]int  // on the stack for most
	loads := room[:0] // looked up once: sessions come and go meanwhile
	sum := 0
	for _, m := range members {
		loads = append(loads, m.load())
		sum += loads[len(loads)-1]
	}
	mean := sum / len(members)
	floor := mean - mean/10 - behind
	fresh := 0
	for _, load := range loads {
		if load < floor {
			fresh++
		}
	}
	candidate := b.lowest(members, loads, math.MinInt)
	if fresh > 0 && fresh < len(members) {
		// Their share twice, but no more than leaves the others half of theirs:
		// where nearly all are behind, it is the others that are to be spared.
		share := float64(fresh) / float64(len(members))
		b.credit += min(2*share, (1+share)/2)
		if b.credit < 1 {
			candidate = b.lowest(members, loads, floor)
		} else {
			b.credit--
		}
	}
	b.turn = candidate.place()
	return candidate
}

// lowest returns the member with the lowest load that is not below floor, in
// turn behind the last one picked where loads are equal.
func (b *leastConnection) lowest(members []*Member, loads []int, floor int) *Member {
	start := next(members, b.turn)
	least := -1
	for i := range members {
		i = (start + i) % len(members)
		if loads[i] >= floor && (least < 0 || loads[i] < loads[least]) {
			least = i
		}
	}
	return members[least]
}

func (*leastConnection) Bound() bool { return false }

// roundRobin picks one after the other in the order of their slots.
type roundRobin struct{ last place }

func (b *roundRobin) Pick(members []*Member, _ Query) *Member {
	m := members[next(members, b.last)]
	b.last = m.place()
	return m
}

// next returns the index of the member behind last, the first one again behind
// the last of them.
func next(members []*Member, last place) int {
	return max(0, slices.IndexFunc(members, func(m *Member) bool { return m.place().compare(last) > 0 }))
}

func (*roundRobin) Bound() bool { return false }

// random picks any, all equally often.
type random struct{}

func (random) Pick(members []*Member, _ Query) *Member {
	return members[rand.IntN(len(members))]
}

func (random) Bound() bool { return false }

// rendezvous picks by the client's address (highest random weight, Thaler and
// Ravishankar 1998): when a slot goes, only its clients move, each to a slot
// of its own, and they come back with it. An IPv6 client is its /64, the
// smallest network that is given to a customer (RFC 6177).
type rendezvous struct{}

func (rendezvous) Pick(members []*Member, q Query) *Member {
	client := clientNetwork(q.Client)
	var best *Member
	var bestWeight uint64
	for _, m := range members {
		if w := weight(client, m.Slot); best == nil || w > bestWeight {
			best, bestWeight = m, w
		}
	}
	return best
}

func (rendezvous) Bound() bool { return true }

func clientNetwork(a netip.Addr) [16]byte {
	a = a.Unmap()
	b := a.As16()
	if a.Is6() {
		clear(b[8:])
	}
	return b
}

// weight mixes a client and a slot. FNV alone leaves the high bits of similar
// inputs alike; the finalizer of SplitMix64 spreads them.
func weight(client [16]byte, slot int) uint64 {
	h := fnv.New64a()
	h.Write(client[:])
	x := h.Sum64() + uint64(slot)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
