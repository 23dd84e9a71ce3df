package front

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
	"github.com/stickyd/stickyd/workerproto"
)

// A linked target is a worker's link, and its handler.
type linked struct {
	*workerproto.Link
	router *routing.Router
	member *routing.Member
	ready  chan bool
}

func (t *linked) Hand(c Conn, session bool) error {
	return t.Link.Hand(workerproto.Connection{FD: c.FD, Session: session})
}

func (t *linked) Ready()                          { t.ready <- true }
func (t *linked) Bind(id []byte) bool             { return t.router.Bind(t.member, id) == nil }
func (t *linked) Unbind(id []byte)                { t.router.Unbind(t.member, id) }
func (t *linked) Taken(n int)                     { t.router.Taken(t.member, n) }
func (t *linked) Settled(n int)                   { t.router.Settled(t.member, n) }
func (t *linked) Leaving()                        {}
func (t *linked) Unreachable()                    {}
func (t *linked) Reachable()                      {}
func (t *linked) Returned(workerproto.Connection) {}
func (t *linked) Declined(workerproto.Connection) {}

// A path is all that a connection passes: a listener, the front, the router and
// the link to a worker, which is played by the test.
type path struct {
	front  *Front
	ln     *Listener
	target *linked
	worker *fdpass.Conn
	buf    [64 << 10]byte
	fds    []int
	taken  uint64
	client unix.SockaddrInet4
}

const pathWindow = 250

func newPath(t testing.TB) *path {
	t.Helper()
	p := &path{target: &linked{ready: make(chan bool, 1)}}
	b, err := routing.NewBalancer("least-connection")
	if err != nil {
		t.Fatal(err)
	}
	p.target.router = routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() { p.target.Sync() })
	near, far, err := fdpass.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if p.worker, err = fdpass.Adopt(far); err != nil {
		t.Fatal(err)
	}
	p.target.Link = workerproto.NewLink(near, workerproto.Terms{Slot: 1, Workers: 1, Incarnation: 1, Window: pathWindow}, p.target, workerproto.NewHub())
	p.target.member = p.target.router.Join(routing.Seat{Slot: 1, Window: pathWindow}, p.target)
	sources, err := session.Parse([]string{"query:sid"})
	if err != nil {
		t.Fatal(err)
	}
	p.front = New(Config{Sessions: sources, HeadTimeout: deadline, HeadBytes: 16 << 10, QueueTimeout: deadline, MaxWaiting: 100},
		p.target.router, slog.New(slog.DiscardHandler))
	if p.ln, err = Listen("127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	fmt.Sscanf(p.ln.Addr().String(), "127.0.0.1:%d", &p.client.Port)
	p.client.Addr = [4]byte{127, 0, 0, 1}
	for _, frame := range []string{ // HELLO, READY, BIND
		"\x81\x00\x00\x00\x00\x00\x00\x0cmin=1\nmax=1\n",
		"\x82\x00\x00\x00\x00\x00\x00\x00",
		"\x83\x00\x00\x00\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x05known",
	} {
		p.worker.TrySend([]byte(frame), nil)
	}
	p.target.Sync()
	<-p.target.ready
	p.target.router.Add(p.target.member, false)
	t.Cleanup(func() {
		p.front.Stop(context.Background(), []*Listener{p.ln})
		for _, c := range p.target.Close() {
			fdpass.Close(c.FD)
		}
		near.Close()
		p.worker.Close()
	})
	return p
}

// connect makes a client that has sent its request.
func (p *path) connect(t testing.TB, request string) (fd int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &p.client)
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(request))
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // or the ports run out
	return fd
}

// take is the worker's work: it takes and closes what has come.
func (p *path) take(t testing.TB) {
	for {
		_, fds, err := p.worker.TryReceive(p.buf[:], p.fds[:0])
		if err != nil {
			break
		}
		p.taken += uint64(len(fds))
		fdpass.CloseAll(fds)
	}
	taken := append(p.buf[:0], "\x85\x00\x00\x00\x00\x00\x00\x08"...)
	if _, err := p.worker.TrySend(binary.BigEndian.AppendUint64(taken, p.taken), nil); err != nil {
		t.Fatal(err)
	}
}

var pathRequests = []string{
	"GET /socket.io/?EIO=4&transport=polling&sid=known HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: h\r\n\r\n",
}

// No connection that can go on at once costs an allocation, be it of a session
// or not.
func TestFastPathAllocatesNothing(t *testing.T) {
	p := newPath(t)
	r := p.front.newRound()
	const count = 100
	elsewhere := "GET / HTTP/1.1\r\nHost: h\r\nCookie: connect.sid=x\r\n\r\n" // which speaks for a mistake
	for i, request := range append([]string{elsewhere}, pathRequests...) {
		least := uint64(1 << 62)
		for range 5 { // the first makes room, and others may allocate meanwhile
			for range count {
				defer unix.Close(p.connect(t, request))
			}
			before := mallocs()
			handed := p.front.Stats.Handed.Load()
			for p.front.Stats.Handed.Load() < handed+count {
				p.front.accept(p.ln, r)
			}
			fast := mallocs() - before
			p.take(t)
			before = mallocs()
			p.target.Sync()
			least = min(least, fast+mallocs()-before)
		}
		if least > 0 {
			t.Errorf("request %d: %d allocations for %d connections", i, least, count)
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// BenchmarkAccept is the whole way of a connection through stickyd, with a
// client and a worker that do next to nothing.
func BenchmarkAccept(b *testing.B) {
	p := newPath(b)
	r := p.front.newRound()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		fd := p.connect(b, pathRequests[0])
		b.StartTimer()
		for p.front.accept(p.ln, r) == nil {
		}
		b.StopTimer()
		p.take(b)
		b.StartTimer()
		p.target.Sync()
		b.StopTimer()
		unix.Close(fd)
		b.StartTimer()
	}
}
