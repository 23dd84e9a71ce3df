package supervisor

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

func TestDeathsOfOneThatIsHealthyDoNotCount(t *testing.T) {
	s := New(Spec{Workers: 2}, nil, slog.New(slog.DiscardHandler))
	now := time.Now()
	s.slots[0].status.Store(&SlotStatus{Slot: 1, State: "ready", Ready: now.Add(-backoffHealthy), Deaths: 3})
	s.slots[1].status.Store(&SlotStatus{Slot: 2, State: "ready", Ready: now, Deaths: 3})
	if all := s.Status(); all[0].Deaths != 0 || all[1].Deaths != 3 {
		t.Errorf("status %+v", all)
	}
}

// Who waits is told what for once, and again when that has changed.
func TestWaitingIsSaidOnce(t *testing.T) {
	pause := awaitPause
	awaitPause = time.Millisecond
	defer func() { awaitPause = pause }()
	s := New(Spec{Workers: 2}, nil, slog.New(slog.DiscardHandler))
	becomes := func(n, sessions int) {
		s.slots[n].status.Store(&SlotStatus{PID: 100 + n, Left: sessions, End: time.Now().Add(time.Hour)})
	}
	becomes(0, 1)
	becomes(1, 1)
	said, ended := make(chan string, 1000), make(chan error)
	go func() {
		ended <- s.awaitVacated(context.Background(), s.slots, "old worker", func(line string) { said <- line })
	}()
	is := func(want string) {
		t.Helper()
		if got := <-said; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	is("waiting for 2 old workers, with 2 sessions; at most 1h0m0s more")
	<-time.After(20 * awaitPause) // time enough to say it again
	becomes(0, 0)
	is("waiting for 2 old workers, with 1 session; at most 1h0m0s more")
	close(s.slots[0].vacated)
	s.slots[0].status.Store(&SlotStatus{})
	is("waiting for 1 old worker, with 1 session; at most 1h0m0s more")
	close(s.slots[1].vacated)
	if err := <-ended; err != nil || len(said) > 0 {
		t.Errorf("%v, and said %d lines more", err, len(said))
	}
}

func TestStatusBeforeAnythingRuns(t *testing.T) {
	for i, sl := range New(Spec{Workers: 3}, nil, slog.New(slog.DiscardHandler)).Status() {
		if sl.Slot != i+1 || sl.State != "waiting" || sl.PID != 0 || sl.Past != (Past{}) {
			t.Errorf("slot %d: %+v", i+1, sl)
		}
	}
}
