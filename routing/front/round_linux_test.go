package front

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/fdtest"
	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
)

// A counting target keeps what it is handed until Flush.
type counting struct {
	refuse  bool
	answers bool // whatever is asked

	mu      sync.Mutex
	handed  []Conn
	flushed int // connections
	flushes int
}

func (c *counting) Hand(conn Conn, _ bool) error {
	if c.refuse {
		return errors.New("refused")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed = append(c.handed, conn)
	return nil
}

func (c *counting) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes++
	for _, conn := range c.handed {
		if c.answers {
			yes{}.Hand(conn, false)
			continue
		}
		unix.Close(conn.FD)
	}
	c.flushed += len(c.handed)
	c.handed = nil
}

// A yard is a front whose rounds a test makes.
type yard struct {
	*Front
	targets []*counting
	members []*routing.Member
	syncs   atomic.Int64
	sync    func()
}

func newYard(t *testing.T, window int) *yard {
	t.Helper()
	b, err := routing.NewBalancer("round-robin")
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{sync: func() {}}
	r := routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() { y.syncs.Add(1); y.sync() })
	for slot := 1; slot <= 2; slot++ {
		target := &counting{}
		m := r.Join(routing.Seat{Slot: slot, Window: window}, target)
		r.Add(m, false)
		y.targets, y.members = append(y.targets, target), append(y.members, m)
	}
	sources, _ := session.Parse([]string{"query:sid"})
	y.Front = New(Config{Sessions: sources, HeadTimeout: deadline, HeadBytes: 4096, QueueTimeout: deadline, MaxWaiting: 100},
		r, slog.New(slog.DiscardHandler))
	return y
}

// come lets clients send requests, and returns when all are in the queue.
func come(t *testing.T, requests []string) *Listener {
	t.Helper()
	ln, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	for _, text := range requests {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		io.WriteString(client, text)
	}
	fd, err := ln.fd.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.fd.Release()
	for late := time.Now().Add(deadline); ; runtime.Gosched() {
		// Of a listener it says how many are in the queue (tcp_get_info).
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || time.Now().After(late) {
			t.Fatal("not all are in the queue: ", err)
		}
		if int(info.Unacked) == len(requests) {
			return ln
		}
	}
}

func requests(n int, id string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("GET /?sid=%s%d HTTP/1.1\r\nHost: x\r\n\r\n", id, i))
	}
	return all
}

// Registrations that are on their way are read once for all of a round.
func TestRoundSyncsOnceForAll(t *testing.T) {
	y := newYard(t, 250)
	ln := come(t, requests(maxRound, "s"))
	y.sync = func() {
		for i := range maxRound {
			if err := y.router.Bind(y.members[1], fmt.Append(nil, "s", i)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := y.accept(ln, y.newRound()); err != nil {
		t.Fatal(err)
	}
	if n := y.syncs.Load(); n != 1 || y.targets[1].flushed != maxRound || y.targets[1].flushes != 1 {
		t.Errorf("%d times synced, and %d connections sent off %d times", n, y.targets[1].flushed, y.targets[1].flushes)
	}
	if known := y.Stats.Known.Load(); known != maxRound {
		t.Errorf("%d were known", known)
	}
}

// A target that refuses in the middle of a round loses nothing, and keeps
// nobody waiting.
func TestRoundGoesOnWhereATargetRefuses(t *testing.T) {
	y := newYard(t, maxRound)
	y.targets[0].refuse = true
	var all []string
	for range maxRound {
		all = append(all, request)
	}
	if err := y.accept(come(t, all), y.newRound()); err != nil {
		t.Fatal(err)
	}
	if n := y.targets[1].flushed; n != maxRound {
		t.Errorf("%d of %d were sent off to the other one", n, maxRound)
	}
	y.router.Remove(y.members[1], time.Now())
	for n := range maxRound {
		if _, ok := y.router.Try(&routing.Query{}); !ok {
			t.Fatalf("the one that refused has room for %d of %d", n, maxRound)
		}
	}
}

// What can't be accepted ends a round, and what came before is sent off.
func TestRoundWithoutDescriptorsSendsOffWhatItHas(t *testing.T) {
	y := newYard(t, 250)
	ln := come(t, requests(10, "s"))
	restore := fdtest.Exhaust(t, 7)
	err := y.accept(ln, y.newRound())
	restore()
	if !outOfResources(err) || y.targets[0].flushed+y.targets[1].flushed != 7 {
		t.Errorf("%d and %d were sent off, then: %v", y.targets[0].flushed, y.targets[1].flushed, err)
	}
	if err := y.accept(ln, y.newRound()); err != errNoMore || y.targets[0].flushed+y.targets[1].flushed != 10 {
		t.Errorf("later %d and %d: %v", y.targets[0].flushed, y.targets[1].flushed, err)
	}
}

// Those for whom nobody has room are more than may wait.
func TestRoundThatNobodyHasRoomFor(t *testing.T) {
	y := newYard(t, 2)
	y.waiters.max = 3
	if err := y.accept(come(t, requests(20, "s")), y.newRound()); err != errNoMore {
		t.Fatal(err)
	}
	if n := y.targets[0].flushed + y.targets[1].flushed; n != 4 {
		t.Errorf("%d were sent off", n)
	}
	if n := y.Stats.Refused.Load(); n != 13 {
		t.Errorf("%d were refused", n)
	}
	for range 2 { // for those who wait there is room, and no more
		for _, m := range y.members {
			y.router.Taken(m, 2)
		}
	}
	for late := time.Now().Add(deadline); y.Stats.Handed.Load() < 7; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal(y.Stats.Handed.Load(), "were handed over")
		}
	}
	y.waiters.wait()
}
