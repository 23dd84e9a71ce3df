package supervisor

import (
	"sync"
	"testing"
	"time"
)

func TestWorkersThatHaveHadEnoughAreReplaced(t *testing.T) {
	s, c := runSupervisor(t, 2, func(l *Limits) { l.Recycling = Recycling{Connections: 100} })
	before := pids(s)
	old := c.of(2)[0]
	old.sessions.Store(1)
	old.connections.Store(100)
	eventually(t, "an heir", func() bool { return len(c.of(2)) == 2 && old.retired.Load() })
	select {
	case <-old.gone:
		t.Error("it did not wait for the session")
	default:
	}
	old.sessions.Store(0)
	<-old.gone
	eventually(t, "two workers", func() bool { return len(s.Status()) == 2 })
	if after := pids(s); after[1] != before[1] || after[2] == before[2] {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestReasonsToRecycle(t *testing.T) {
	now := &SlotStatus{Started: time.Now().Add(-time.Hour), client: &client{}}
	now.client.(*client).connections.Store(5)
	for _, tt := range []struct {
		limits Recycling
		want   string
	}{
		{Recycling{}, ""},
		{Recycling{Age: 2 * time.Hour, Connections: 6, Memory: 1 << 50}, ""},
		{Recycling{Age: time.Hour}, "it is 1h0m0s old"},
		{Recycling{Connections: 5}, "it has had 5 connections"},
	} {
		if got := tt.limits.reached(now); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.limits, got, tt.want)
		}
	}
}

// Who asks for an operation waits for one that nobody asked for.
func TestOperationsWaitForRecycling(t *testing.T) {
	s, c := runSupervisor(t, 2, func(l *Limits) {
		l.Recycling = Recycling{Connections: 100}
		l.MinReady = 300 * time.Millisecond // so that it is under way for a while
	})
	c.of(1)[0].connections.Store(100)
	eventually(t, "recycling", func() bool { return s.Operation() != "" })
	if err := s.Scale(3, false, func(string) {}); err != nil {
		t.Error(err)
	}
	if n := len(c.of(3)); n != 1 {
		t.Errorf("%d workers in slot 3", n)
	}
}

// How large an heir is from the beginning is seen while it is on trial, and while
// its predecessor drains, which may take far longer than the beginning.
func TestHeirsAreLookedAtFromTheBeginning(t *testing.T) {
	for name, minReady := range map[string]time.Duration{"on trial": time.Hour, "while the old one drains": 0} {
		t.Run(name, func(t *testing.T) {
			var looked sync.Map // by PID
			was := resident
			resident = func(pid int) int64 {
				looked.Store(pid, true)
				return 0
			}
			t.Cleanup(func() { resident = was })
			s, c := runSupervisor(t, 1, func(l *Limits) {
				l.MinReady = minReady
				l.Recycling = Recycling{Connections: 100, Memory: 1 << 20}
			})
			old := c.of(1)[0]
			old.sessions.Store(1)
			old.connections.Store(100)
			if minReady == 0 {
				eventually(t, "a successor", old.retired.Load)
				looked.Clear()
			}
			eventually(t, "a look at the heir", func() bool {
				all := s.Status()
				_, ok := looked.Load(all[len(all)-1].PID)
				return len(all) == 2 && ok
			})
			if old.retired.Load() != (minReady == 0) || len(s.Status()) != 2 {
				t.Errorf("it was replaced: %+v", s.Status())
			}
			s.Kill() // they would have an hour
		})
	}
}
