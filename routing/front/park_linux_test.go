package front

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// late is the target of a member that registers sessions late. It answers whether
// it owns the session of what it gets.
type late struct{}

func (late) Hand(c Conn, session bool) error {
	unix.Write(c.FD, fmt.Appendf(nil, "HTTP/1.1 200 session=%t\r\n\r\n", session))
	unix.Close(c.FD)
	return nil
}

func (late) Flush() {}

// park returns a front one of whose members registers late, and the answer to a
// request with an id that nobody has registered.
func park(t *testing.T, patience time.Duration) (f *Front, register func(), answer <-chan string) {
	t.Helper()
	f, _ = newFront(t)
	config := f.settings.Load().Config
	config.ParkTimeout = patience
	f.SetConfig(config)
	m := f.router.Join(routing.Seat{Slot: 2, Window: 1 << 30}, late{})
	f.router.Add(m, true)
	reach(f.router, m)
	client, accepted := clientOf(t, "GET /?sid=early HTTP/1.1\r\nHost: x\r\n\r\n")
	answers := make(chan string, 1)
	go func() {
		defer unix.Close(client)
		text, _ := io.ReadAll(fdReader(client))
		answers <- string(text)
	}()
	f.admitAlone(Conn{FD: accepted})
	return f, func() { f.router.Bind(m, []byte("early")) }, answers
}

// reach lets a member have had a connection, in which a session may begin.
func reach(r *routing.Router, m *routing.Member) {
	to, _ := r.Route(routing.Query{From: m, Returned: true})
	r.Release(to)
}

func expectAnswer(t *testing.T, answer <-chan string, want string) {
	t.Helper()
	select {
	case got := <-answer:
		if !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(deadline):
		t.Error("no answer")
	}
}

func TestRequestWaitsForItsSessionToBeRegistered(t *testing.T) {
	f, register, answer := park(t, 2*deadline)
	select {
	case got := <-answer:
		t.Fatalf("answered before: %q", got)
	case <-time.After(20 * time.Millisecond):
	}
	register()
	expectAnswer(t, answer, "HTTP/1.1 200 session=true")
	f.waiters.wait()
}

func TestRequestDoesNotWaitForEver(t *testing.T) {
	f, _, answer := park(t, time.Millisecond)
	expectAnswer(t, answer, "HTTP/1.1 200 ")
	f.waiters.wait()
}

func TestStopDoesNotWaitForRegistrations(t *testing.T) {
	f, _, answer := park(t, 2*deadline)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Stop(ctx, nil)
	expectAnswer(t, answer, "HTTP/1.1 ") // from a worker with room, or 503
}
