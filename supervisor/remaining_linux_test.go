package supervisor

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Who waits is told what for once, and again when that has changed.
func TestWaitingIsSaidOnce(t *testing.T) {
	pause := awaitPause
	awaitPause = time.Millisecond
	defer func() { awaitPause = pause }()
	s := New(Spec{Workers: 2}, nil, slog.New(slog.DiscardHandler))
	var first, second client
	until := time.Now().Add(time.Hour)
	s.slots[0].status.Store(&SlotStatus{PID: 100, client: &first, End: until})
	s.slots[1].status.Store(&SlotStatus{PID: 101, client: &second, End: until})
	first.sessions.Store(1)
	second.sessions.Store(1)
	second.open.Store(3)
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
	is("waiting for 2 old workers with 2 sessions and 3 open connections, at most 1h0m0s more")
	<-time.After(20 * awaitPause) // time enough to say it again
	second.open.Store(0)
	is("waiting for 2 old workers with 2 sessions, at most 1h0m0s more")
	first.sessions.Store(0)
	is("waiting for 2 old workers with 1 session, at most 1h0m0s more")
	close(s.slots[0].vacated)
	s.slots[0].status.Store(&SlotStatus{})
	is("waiting for 1 old worker with 1 session, at most 1h0m0s more")
	close(s.slots[1].vacated)
	if err := <-ended; err != nil || len(said) > 0 {
		t.Errorf("%v, and said %d lines more", err, len(said))
	}
}

func TestRemainderInWords(t *testing.T) { synctest.Test(t, testRemainderInWords) }

func testRemainderInWords(t *testing.T) {
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for _, tt := range []struct {
		Remainder
		long, short string
	}{
		{Remainder{Workers: 1}, "waiting for 1 worker", "1 worker"},
		{Remainder{Workers: 3, Sessions: 12, Connections: 4, Until: in(28 * time.Second)},
			"waiting for 3 workers with 12 sessions and 4 open connections, at most 28s more", "3 workers, 12 sessions, 4 connections, 28s left"},
		{Remainder{Workers: 2, Sessions: 1, Until: in(-time.Second)}, "waiting for 2 workers with 1 session", "2 workers, 1 session"},
		{Remainder{Workers: 2, Connections: 1, Until: in(time.Hour)}, "waiting for 2 workers with 1 open connection, at most 1h0m0s more", "2 workers, 1 connection, 1h0m0s left"},
	} {
		if long, short := tt.String(), tt.Short(); long != tt.long || short != tt.short {
			t.Errorf("%q, %q; want %q, %q", long, short, tt.long, tt.short)
		}
	}
}
