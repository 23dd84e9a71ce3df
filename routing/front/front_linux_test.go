package front

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
)

const (
	deadline = 30 * time.Second
	request  = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
)

// A yes is a target that answers by itself.
type yes struct{}

func (yes) Hand(c Conn, _ bool) error {
	unix.Read(c.FD, make([]byte, len(request))) // closing with unread input would be a reset
	unix.Write(c.FD, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	unix.Close(c.FD)
	return nil
}

func (yes) Flush() {}

// admitAlone admits a connection in a round of its own.
func (f *Front) admitAlone(c Conn) {
	r := f.newRound()
	f.admit(c, r)
	f.finish(r)
}

// newFront returns a front with one member, which is a yes.
func newFront(t *testing.T) (*Front, *routing.Member) {
	t.Helper()
	b, err := routing.NewBalancer("round-robin")
	if err != nil {
		t.Fatal(err)
	}
	r := routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() {})
	m := r.Join(routing.Seat{Slot: 1, Window: 1 << 30}, yes{})
	r.Add(m, false)
	sources, err := session.Parse([]string{"query:sid"})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Sessions: sources, HeadTimeout: deadline, HeadBytes: 4096, QueueTimeout: deadline, MaxWaiting: 100},
		r, slog.New(slog.DiscardHandler)), m
}

// clientOf returns a client that has sent text, and the other end.
func clientOf(t *testing.T, text string) (client, accepted int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(p[0], []byte(text))
	unix.SetNonblock(p[1], true)
	return p[0], p[1]
}

func TestReturnedRequestIsServedAlsoWhenNoHeadIsWaitedFor(t *testing.T) {
	f, m := newFront(t)
	f.waiters.giveUpHeads() // as Stop does, which then waits for others
	client, accepted := clientOf(t, request)
	defer unix.Close(client)
	f.Reroute(Conn{FD: accepted}, m, true)
	var answer strings.Builder
	io.Copy(&answer, fdReader(client))
	if !strings.HasPrefix(answer.String(), "HTTP/1.1 200 ") {
		t.Errorf("got %q", answer.String())
	}
}

type fdReader int

func (fd fdReader) Read(b []byte) (int, error) {
	n, err := unix.Read(int(fd), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// Workers may give connections back at any time.
func TestStopBesideReturnedConnections(t *testing.T) {
	for range 300 {
		f, m := newFront(t)
		stopped := make(chan struct{})
		var workers sync.WaitGroup
		for range 2 {
			workers.Go(func() {
				for {
					select {
					case <-stopped:
						return
					default:
						client, accepted := clientOf(t, request)
						f.Reroute(Conn{FD: accepted}, m, true)
						unix.Close(client)
					}
				}
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		f.Stop(ctx, nil)
		cancel()
		close(stopped)
		workers.Wait()
		f.waiters.wait()
	}
}

// A no is a target that has room for nothing, which it says later.
type no struct {
	f     *Front
	m     *routing.Member
	calls sync.WaitGroup
}

func (n *no) Hand(c Conn, session bool) error {
	n.calls.Go(func() {
		n.f.router.Release(routing.Route{Member: n.m, Session: session})
		n.f.Reroute(c, n.m, false)
	})
	return nil
}

func (*no) Flush() {}

func TestLimitHoldsForThoseWhomNobodyTakes(t *testing.T) {
	const window, limit, clients = 4, 10, 400
	b, err := routing.NewBalancer("round-robin")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := session.Parse([]string{"query:sid"})
	if err != nil {
		t.Fatal(err)
	}
	r := routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() {})
	f := New(Config{Sessions: sources, HeadTimeout: deadline, HeadBytes: 4096, QueueTimeout: deadline, MaxWaiting: limit},
		r, slog.New(slog.DiscardHandler))
	target := &no{f: f}
	target.m = r.Join(routing.Seat{Slot: 1, Window: window}, target)
	r.Add(target.m, false)
	most := 0
	for range clients {
		client, accepted := clientOf(t, request)
		defer unix.Close(client)
		f.admitAlone(Conn{FD: accepted})
		f.waiters.mu.Lock()
		most = max(most, f.waiters.count)
		f.waiters.mu.Unlock()
	}
	f.end()
	f.waiters.wait()
	target.calls.Wait()
	f.waiters.wait()
	if most > 2*limit+window {
		t.Errorf("%d waited at a time, the limit is %d", most, limit)
	}
	if got := f.Stats.Refused.Load(); got != clients {
		t.Errorf("%d of %d were refused", got, clients)
	}
}
