package logs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func numbered(r *Ring[string], from, to int) {
	for i := from; i <= to; i++ {
		r.Add(fmt.Sprint(i))
	}
}

func every(*string) bool { return true }

func TestRingIsBounded(t *testing.T) {
	byNumber := NewLines(3, 1000)
	numbered(byNumber, 1, 5)
	if items, first := byNumber.From(0, 10); first != 3 || !slices.Equal(items, []string{"3", "4", "5"}) {
		t.Errorf("by number: %q from %d", items, first)
	}
	byBytes := NewLines(1000, 10)
	byBytes.Add("123456")
	byBytes.Add("7890")
	if items, first := byBytes.From(0, 10); first != 1 || len(items) != 2 {
		t.Errorf("at the limit: %q from %d", items, first)
	}
	byBytes.Add("x")
	if items, first := byBytes.From(0, 10); first != 2 || !slices.Equal(items, []string{"7890", "x"}) {
		t.Errorf("by bytes: %q from %d", items, first)
	}
	byBytes.Add(strings.Repeat("y", 11))
	if items, first := byBytes.From(0, 10); first != 4 || len(items) != 1 {
		t.Errorf("one that is larger: %q from %d", items, first)
	}
}

func TestRingFrom(t *testing.T) {
	r := NewLines(10, 1000)
	if items, first := r.From(0, 10); first != 1 || len(items) != 0 {
		t.Errorf("empty: %q from %d", items, first)
	}
	numbered(r, 1, 12)
	for _, tt := range []struct {
		name   string
		number uint64
		n      int
		want   string
		first  uint64
	}{
		{"some", 5, 2, "5 6", 5},
		{"all that are left", 11, 10, "11 12", 11},
		{"dropped ones are left out", 1, 2, "3 4", 3},
		{"to come", 13, 10, "", 13},
		{"of another history", 99, 10, "", 13},
	} {
		if items, first := r.From(tt.number, tt.n); strings.Join(items, " ") != tt.want || first != tt.first {
			t.Errorf("%s: %q from %d", tt.name, items, first)
		}
	}
}

func TestRingLast(t *testing.T) {
	r := NewLines(10, 1000)
	if n := r.Last(3, every); n != 1 {
		t.Error("of none: ", n)
	}
	numbered(r, 1, 12)
	even := func(s *string) bool { return strings.HasSuffix(*s, "0") || strings.HasSuffix(*s, "2") }
	for _, tt := range []struct {
		n      int
		wanted func(*string) bool
		want   uint64
	}{{3, every, 10}, {0, every, 13}, {100, every, 3}, {2, even, 10}, {3, even, 10}, {1, even, 12}} {
		if got := r.Last(tt.n, tt.wanted); got != tt.want {
			t.Errorf("the last %d: from %d, want %d", tt.n, got, tt.want)
		}
	}
}

// Every reader sees each item once and in order, or knows how many it missed.
func TestRingReadersMissNothingUnknowingly(t *testing.T) {
	r := NewLines(50, 1<<20)
	const items = 2000
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			seen, missed, next := 0, 0, uint64(1)
			for next <= items {
				<-r.Grown(next)
				got, first := r.From(next, 7)
				missed += int(first - next)
				for i, s := range got {
					if s != fmt.Sprint(first+uint64(i)) {
						t.Errorf("item %d is %s", first+uint64(i), s)
					}
				}
				seen += len(got)
				next = first + uint64(len(got))
			}
			if seen+missed != items {
				t.Errorf("%d seen and %d missed, of %d", seen, missed, items)
			}
		})
	}
	numbered(r, 1, items)
	readers.Wait()
}

func TestRingGoesOn(t *testing.T) {
	old := NewLines(5, 1000)
	numbered(old, 1, 7)
	text, err := json.Marshal(old.State())
	if err != nil {
		t.Fatal(err)
	}
	r := NewLines(5, 1000)
	if r.ID() == old.ID() {
		t.Error("two histories have one name")
	}
	r.Add("8") // before it knew
	var s RingState[string]
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r.Restore(s)
	if items, first := r.From(6, 10); r.ID() != old.ID() || first != 6 || strings.Join(items, " ") != "6 7 8" {
		t.Errorf("%q from %d", items, first)
	}
	r.Restore(RingState[string]{}) // of a program that kept nothing
	if r.ID() != old.ID() {
		t.Error("the history has no name")
	}
	if _, first := r.From(0, 10); first != 4 {
		t.Errorf("more than the limit is kept: from %d", first)
	}
}
