package supervisor

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// A worker that is too large is replaced, but not again and again: each row is
// how old the workers of a slot get, one after the other.
func TestWorkersThatAreTooLargeAreLeftAloneForAWhile(t *testing.T) {
	const limit = 100 << 20
	large := func(from time.Duration) func(time.Duration, int) int64 {
		return func(age time.Duration, _ int) int64 {
			if age < from {
				return limit - 1
			}
			return limit
		}
	}
	minutes := func(n ...time.Duration) []time.Duration {
		for i := range n {
			n[i] *= time.Minute
		}
		return n
	}
	for _, tt := range []struct {
		name   string
		memory func(age time.Duration, worker int) int64 // of the worker of that number
		ages   []time.Duration
		warned bool
	}{
		{"from the beginning", large(0), minutes(1, 2, 4, 8, 16, 32, 60, 60), true},
		{"soon", large(5 * time.Second), minutes(1, 2, 4, 8), true},
		{"after half a minute", large(30 * time.Second), minutes(1, 1, 1, 1), false},
		{"after a while", large(7 * time.Minute), minutes(7, 7, 7), false},
		{"for a moment", func(age time.Duration, _ int) int64 { return large(0)(-age, 0) + int64(age/time.Hour) }, minutes(60), false},
		{"no longer", func(age time.Duration, worker int) int64 {
			if worker == 2 {
				return large(7*time.Minute)(age, 0)
			}
			return limit
		}, minutes(1, 2, 7, 1, 2), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			var ages []time.Duration
			at := time.Unix(1e9, 0)
			now := &SlotStatus{Slot: 3, Incarnation: 1, Ready: at}
			s := &size{log: slog.New(slog.NewTextHandler(&out, nil)), of: func(int) int64 { return tt.memory(at.Sub(now.Ready), len(ages)) }}
			for len(ages) < len(tt.ages) {
				s.begin(limit)
				if why, early := s.reached(now, at); why != "" {
					s.replaced(3, early)
					ages = append(ages, at.Sub(now.Ready))
					now = &SlotStatus{Slot: 3, Incarnation: now.Incarnation + 1, Ready: at}
				}
				if at = at.Add(time.Second); at.Sub(now.Ready) > 2*time.Hour {
					break
				}
			}
			if !slices.Equal(ages, tt.ages) {
				t.Errorf("workers got %v old, want %v", ages, tt.ages)
			}
			if n := strings.Count(out.String(), "raise it"); n != map[bool]int{true: 1}[tt.warned] {
				t.Errorf("the log says %q", out.String())
			}
		})
	}
}

// Another limit is another matter.
func TestSizeForgetsWithTheLimit(t *testing.T) {
	at := time.Unix(1e9, 0)
	now := &SlotStatus{Slot: 1, Incarnation: 1, Ready: at}
	s := &size{log: slog.New(slog.DiscardHandler), of: func(int) int64 { return 1000 }}
	reached := func(limit int64, at time.Time) (bool, bool) {
		s.begin(limit)
		why, early := s.reached(now, at)
		return why != "", early
	}
	reached(900, at)
	reachedIt, early := reached(900, at.Add(sizeFirst))
	if !reachedIt {
		t.Error("it is left alone")
	}
	s.replaced(1, early)
	if reachedIt, _ := reached(900, at.Add(sizeFirst)); reachedIt {
		t.Error("the heir is not left alone for longer")
	}
	if reachedIt, _ := reached(800, at.Add(sizeFirst)); !reachedIt {
		t.Error("a limit counts that there is no more")
	}
	if reachedIt, _ := reached(0, at.Add(sizeFirst)); reachedIt {
		t.Error("no limit was reached")
	}
}
