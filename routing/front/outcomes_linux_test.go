package front

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// The router's counts by lookup and by slot add up to the front's.
func TestOutcomesAddUp(t *testing.T) {
	y := newYard(t, 250)
	y.router.Bind(y.members[0], []byte("known0"))
	y.router.Bind(y.members[0], []byte("dead0"))
	y.router.Remove(y.members[0], time.Now())
	y.router.Bind(y.members[1], []byte("known0"))
	y.sync = func() { y.router.Bind(y.members[1], []byte("late0")) }
	all := []string{request}
	for _, id := range []string{"known", "late", "dead", "stranger", "late"} {
		all = append(all, requests(1, id)...)
	}
	ln := come(t, all)
	for r := y.newRound(); y.accept(ln, r) == nil; {
	}
	s, got := &y.Stats, y.router.Lookups()
	if want := (routing.Lookups{Found: 1, Rescued: 2, Dead: 1, Never: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got.Found+got.Rescued != s.Known.Load() || got.Dead+got.Never != s.Unknown.Load() {
		t.Errorf("%+v, but %d known and %d unknown", got, s.Known.Load(), s.Unknown.Load())
	}
	for _, returned := range []bool{true, false, false} {
		client, accepted := clientOf(t, request)
		defer unix.Close(client)
		y.Reroute(Conn{FD: accepted}, y.members[0], returned)
	}
	y.waiters.wait()
	if got, want := y.Sources(), []SourceCounts{{"query:sid", 3, 1, 1}}; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if heads, queued := s.HeadWait.Count(), s.QueueWait.Count(); int64(heads) != s.Handed.Load() || queued != heads {
		t.Errorf("%d and %d waits are counted of %d", heads, queued, s.Handed.Load())
	}
	want := []routing.SlotOutcomes{{Slot: 1, Returned: 1, Rerouted: 2}, {Slot: 2, Handed: s.Handed.Load()}}
	if got := y.router.Outcomes(); !slices.Equal(got, want) || s.Handed.Load() != 9 {
		t.Errorf("%+v, want %+v", got, want)
	}
}
