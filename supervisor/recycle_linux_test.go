package supervisor

import (
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
