package routing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBindRefuses(t *testing.T) {
	table := NewTable(NewKey())
	a, b, dead := table.Open(), table.Open(), table.Open()
	table.Kill(dead, Death{})
	id := []byte("session")
	if err := table.Bind(id, a); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		id   string
		in   Incarnation
		want error
	}{
		{"the owner again", "session", a, nil},
		{"another live one", "session", b, ErrHeld},
		{"a dead one", "other", dead, ErrDead},
		{"nobody", "other", 0, ErrDead},
		{"no id", "", a, ErrSessionID},
		{"257 bytes", strings.Repeat("x", 257), a, ErrSessionID},
		{"256 bytes", strings.Repeat("x", 256), a, nil},
	} {
		if err := table.Bind([]byte(tt.id), tt.in); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if table.Sessions(a) != 2 || table.Sessions(b) != 0 || table.Len() != 2 {
		t.Error("counts:", table.Sessions(a), table.Sessions(b), table.Len())
	}
	if table.Unbind(id, b) {
		t.Error("another one ended the session")
	}
	if _, ok := table.Lookup([]byte(strings.Repeat("x", 257))); ok {
		t.Error("257 bytes were found")
	}
}

func TestKilledOwnersSessionsAreUnknownAtOnceAndFree(t *testing.T) {
	table := NewTable(NewKey())
	a, b := table.Open(), table.Open()
	for i := range 1000 {
		table.Bind(fmt.Append(nil, "a", i), a)
		table.Bind(fmt.Append(nil, "b", i), b)
	}
	if n := table.Kill(a, Death{}); n != 1000 {
		t.Errorf("Kill purged %d", n)
	}
	if n := table.Kill(a, Death{}); n != 0 {
		t.Errorf("a second Kill purged %d", n)
	}
	if _, ok := table.Lookup([]byte("a7")); ok {
		t.Error("a dead one's session is known")
	}
	if err := table.Bind([]byte("a7"), b); err != nil {
		t.Error("a dead one's session can't be bound:", err)
	}
	if n := table.Sweep(time.Now()); n != 999 {
		t.Errorf("Sweep freed %d entries, want 999", n)
	}
	for i := range table.shards {
		for _, owner := range table.shards[i].owners {
			if owner != b {
				t.Fatal("an entry of", owner, "is left")
			}
		}
	}
	for i := range 1000 { // also those whose shard was made smaller
		if owner, _ := table.Lookup(fmt.Append(nil, "b", i)); owner != b {
			t.Fatal("a live one's session is", owner, "'s")
		}
	}
	if n := table.Len(); n != 1001 || n != table.Sessions(b) {
		t.Error("Len is", n)
	}
}

// TestTableIsAMap does random things to a table and to a map.
func TestTableIsAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	table := NewTable(NewKey())
	model := make(map[string]Incarnation)
	live := []Incarnation{table.Open(), table.Open(), table.Open()}
	for range 50_000 {
		id, n := fmt.Sprint(rnd.IntN(500)), rnd.IntN(len(live))
		in := live[n]
		switch rnd.IntN(100) {
		default:
			err := table.Bind([]byte(id), in)
			if owner := model[id]; owner == 0 || owner == in {
				model[id] = in
			} else if !errors.Is(err, ErrHeld) {
				t.Fatalf("Bind of %d's session to %d: %v", owner, in, err)
			}
		case 0:
			table.Kill(in, Death{})
			for id, owner := range model {
				if owner == in {
					delete(model, id)
				}
			}
			live[n] = table.Open()
		case 1:
			table.Sweep(time.Now())
		case 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29:
			if table.Unbind([]byte(id), in) != (model[id] == in) {
				t.Fatal("Unbind of", model[id], "'s session by", in)
			}
			if model[id] == in {
				delete(model, id)
			}
		}
		if got, _ := table.LookupKey(table.Key([]byte(id))); got != model[id] {
			t.Fatalf("LookupKey: %d, want %d", got, model[id])
		}
		if got, _ := table.Lookup([]byte(id)); got != model[id] {
			t.Fatalf("Lookup: %d, want %d", got, model[id])
		}
		if table.Len() != len(model) {
			t.Fatalf("Len: %d, want %d", table.Len(), len(model))
		}
	}
}

// A key does what its id does, in whatever order the two are used.
func TestKeyIsAsGoodAsItsID(t *testing.T) {
	table := NewTable(NewKey())
	a, b := table.Open(), table.Open()
	id, other := []byte("session"), []byte("another")
	k := table.Key(id)
	if _, ok := table.LookupKey(k); ok || k == table.Key(other) {
		t.Error("found before it was bound, or no key of its own")
	}
	if err := table.BindKey(k, a); err != nil {
		t.Error(err)
	}
	if owner, ok := table.Lookup(id); owner != a || !ok {
		t.Error("Lookup finds", owner)
	}
	if err := table.BindKey(k, b); !errors.Is(err, ErrHeld) {
		t.Error("bound twice:", err)
	}
	if table.UnbindKey(k, b) || !table.UnbindKey(k, a) {
		t.Error("ended by who does not own it, or not by who does")
	}
	if _, ok := table.Lookup(id); ok {
		t.Error("found after its end")
	}
}

func TestWhatIsNoIDHasNoKey(t *testing.T) {
	table := NewTable(NewKey())
	in := table.Open()
	for _, id := range []string{"", strings.Repeat("x", 257)} {
		k := table.Key([]byte(id))
		_, found := table.LookupKey(k)
		if err := table.BindKey(k, in); k != (Key{}) || found || !errors.Is(err, ErrSessionID) || table.UnbindKey(k, in) {
			t.Errorf("%d bytes: %v, found: %t, %v", len(id), k, found, err)
		}
	}
}

// What Sweep locks at a time is little, whatever the ids look like.
func TestShardsAreSmall(t *testing.T) {
	const sessions = 100_000
	table := NewTable(NewKey())
	in := table.Open()
	for i := range sessions {
		table.Bind(fmt.Append(nil, i), in)
	}
	for i := range table.shards {
		if n := len(table.shards[i].owners); n > 4*sessions/shardCount {
			t.Errorf("shard %d has %d of %d sessions", i, n, sessions)
		}
	}
	table.Kill(in, Death{})
	if n := table.Sweep(time.Now()); n != sessions {
		t.Error("Sweep freed", n)
	}
	for i := range table.shards {
		if table.shards[i].owners != nil {
			t.Fatal("a shard without sessions keeps its space")
		}
	}
}

func TestTableUnderConcurrentUseCountsRight(t *testing.T) {
	table := NewTable(NewKey())
	var users sync.WaitGroup
	var mu sync.Mutex
	want := 0
	for u := range 8 {
		users.Go(func() {
			in, kept := table.Open(), 0
			for i := range 2000 {
				id := fmt.Append(nil, u, "-", i)
				if table.Bind(id, in) == nil {
					kept++
				}
				table.Lookup(fmt.Append(nil, (u+1)%8, "-", i))
				if i%3 == 0 && table.Unbind(id, in) {
					kept--
				}
				if i == 1000 && u%2 == 0 { // dies, and binds afresh
					if n := table.Kill(in, Death{}); n != kept {
						t.Errorf("Kill purged %d, want %d", n, kept)
					}
					in, kept = table.Open(), 0
				}
				if i%500 == 0 {
					table.Sweep(time.Now())
				}
			}
			mu.Lock()
			defer mu.Unlock()
			want += kept
		})
	}
	users.Wait()
	table.Sweep(time.Now())
	entries := 0
	for i := range table.shards {
		entries += len(table.shards[i].owners)
	}
	if table.Len() != want || entries != want {
		t.Errorf("Len %d, %d entries, want %d", table.Len(), entries, want)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := NewTable(NewKey())
	in, id := table.Open(), []byte("aB3_-xYz0123456789AA")
	table.Bind(id, in)
	if n := testing.AllocsPerRun(100, func() { table.Lookup(id) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		k := table.Key(id)
		table.LookupKey(k)
		table.BindKey(k, in)
	}); n != 0 {
		t.Errorf("%v allocations by key", n)
	}
}
