package front

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// A patient is a TCP client whose connection waits in a front.
type patient struct {
	*net.TCPConn
	t *testing.T
}

// waitWith lets a client come whose connection has to wait. What it sends is a
// request, as a rule.
func (y *yard) waitWith(t *testing.T, text string) *patient {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(fd, true)
	io.WriteString(client, text)
	eventually(t, "what it sent is there", func() bool {
		n, _ := peek(fd, make([]byte, 4096))
		return n == len(text)
	})
	before := y.count()
	y.admitAlone(Conn{FD: fd})
	if now := y.count(); now != before+1 {
		t.Fatalf("%d wait, after %d", now, before)
	}
	return &patient{client.(*net.TCPConn), t}
}

func (y *yard) count() int {
	y.waiters.mu.Lock()
	defer y.waiters.mu.Unlock()
	return y.waiters.count
}

// reset ends the connection at once, as who has died does.
func (p *patient) reset() {
	p.SetLinger(0)
	p.Close()
}

func (p *patient) expect(want string) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(deadline))
	if got, err := io.ReadAll(p); !strings.HasPrefix(string(got), want) {
		p.t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// newFullYard returns a yard in which nobody has room until release is called.
// Requests with the id late wait for its registration first.
func newFullYard(t *testing.T) (y *yard, release func()) {
	t.Helper()
	y = newYard(t, 1)
	y.targets[0].answers, y.targets[1].answers = true, true
	c := y.settings.Load().Config
	c.ParkTimeout = 10 * deadline
	c.QueueTimeout = 10 * deadline
	y.SetConfig(c)
	var all []routing.Route
	for range y.members {
		to, ok := y.router.Try(&routing.Query{})
		if !ok {
			t.Fatal("there is no room at all")
		}
		all = append(all, to)
	}
	y.router.SetLate(y.members[1], true)
	return y, func() {
		for _, to := range all {
			y.router.Release(to)
		}
	}
}

// whole is a request that waits for a worker, and late for its registration.
const (
	whole     = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	registers = "GET /?sid=late HTTP/1.1\r\nHost: x\r\n\r\n"
)

// A client that is certainly gone frees its place at once, and is counted.
func TestWhoIsGoneWaitsNoLonger(t *testing.T) {
	for _, tt := range []struct {
		name, sent string
		leave      func(*patient)
	}{
		{"reset while it waits for a worker", whole, (*patient).reset},
		{"reset while it waits for a registration", registers, (*patient).reset},
		{"reset in the head", whole[:5], (*patient).reset},
		{"reset after it had closed its half", whole, func(p *patient) { p.CloseWrite(); p.reset() }},
		{"closed in the request line", whole[:5], func(p *patient) { p.CloseWrite() }},
		{"closed in the header, while it waits for a worker", whole[:20], func(p *patient) { p.CloseWrite() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			y, release := newFullYard(t)
			stays := y.waitWith(t, whole)
			tt.leave(y.waitWith(t, tt.sent))
			eventually(t, "its place is free", func() bool { return y.count() == 1 && y.Stats.Abandoned.Load() == 1 })
			release()
			stays.expect("HTTP/1.1 200 ")
			y.waiters.wait()
			untaken := 0
			for _, m := range y.router.Members() {
				untaken += m.Untaken
			}
			if handed := y.Stats.Handed.Load(); handed != 1 || untaken != 1 {
				t.Errorf("%d were handed over, room is taken for %d", handed, untaken)
			}
			y.Stop(t.Context(), nil)
		})
	}
}

// A client that has only closed its half gets its answer, however late.
func TestWhoHasClosedItsHalfIsServed(t *testing.T) {
	for name, sent := range map[string]string{"waiting for a worker": whole, "waiting for a registration": registers} {
		t.Run(name, func(t *testing.T) {
			y, release := newFullYard(t)
			p := y.waitWith(t, sent)
			p.CloseWrite()
			gone := y.waitWith(t, whole) // when this is noticed, that is, too
			gone.reset()
			eventually(t, "the other's place is free", func() bool { return y.count() == 1 })
			release()
			if sent == registers {
				y.router.Bind(y.members[1], []byte("late"))
			}
			p.expect("HTTP/1.1 200 ")
			y.Stop(t.Context(), nil)
		})
	}
}

// Who has closed its half, and is gone as a rule, does not hold up the stop; others
// are waited for.
func TestStopWaitsForNobodyWhoIsGone(t *testing.T) {
	y, release := newFullYard(t)
	before, registering, stays, after := y.waitWith(t, whole), y.waitWith(t, registers), y.waitWith(t, whole), y.waitWith(t, whole)
	before.CloseWrite()
	registering.CloseWrite()
	stopped := make(chan struct{})
	go func() {
		y.Stop(t.Context(), nil)
		close(stopped)
	}()
	before.expect("HTTP/1.1 503 ")
	registering.expect("HTTP/1.1 503 ")
	after.CloseWrite()
	after.expect("HTTP/1.1 503 ")
	select {
	case <-stopped:
		t.Error("it did not wait for who stays")
	default:
	}
	release()
	stays.expect("HTTP/1.1 200 ")
	<-stopped
	if s := &y.Stats; s.Refused.Load() != 3 || s.Handed.Load() != 1 {
		t.Errorf("%d were refused, %d handed over", s.Refused.Load(), s.Handed.Load())
	}
}

// Who has closed its half is taken along by an upgrade.
func TestFreezeKeepsWhoHasClosedItsHalf(t *testing.T) {
	const clients = 10
	y, _ := newFullYard(t)
	var all []*patient
	for range clients {
		p := y.waitWith(t, whole)
		p.CloseWrite()
		all = append(all, p)
	}
	y.Freeze()
	s := y.State()
	if len(s.Waiting) != clients {
		t.Fatalf("%d wait, %d were refused", len(s.Waiting), y.Stats.Refused.Load())
	}
	heir, _ := newFront(t)
	heir.Resume(s, nil)
	for _, p := range all {
		p.expect("HTTP/1.1 200 ")
	}
	heir.Stop(t.Context(), nil)
}
