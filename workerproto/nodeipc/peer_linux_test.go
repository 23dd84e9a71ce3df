package nodeipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// deadline is how long anything may take before a test gives up.
const deadline = 30 * time.Second

// A recorder is a Handler that writes down what it is told.
type recorder struct {
	t testing.TB

	mu    sync.Mutex
	said  []string
	conns []workerproto.Connection // returned and declined ones
	grown chan struct{}
}

func newRecorder(t testing.TB) *recorder {
	r := &recorder{t: t, grown: make(chan struct{})}
	t.Cleanup(func() {
		for _, c := range r.conns {
			fdpass.Close(c.FD)
		}
	})
	return r
}

func (r *recorder) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
	close(r.grown)
	r.grown = make(chan struct{})
}

func (r *recorder) Ready() { r.say("ready") }
func (r *recorder) Bind(id []byte) bool {
	r.say("bind %s", id)
	return !bytes.HasPrefix(id, []byte("taken"))
}
func (r *recorder) Unbind(id []byte) { r.say("unbind %s", id) }
func (r *recorder) Taken(n int)      { r.say("taken %d", n) }
func (r *recorder) Settled(n int)    { r.say("settled %d", n) }
func (r *recorder) Leaving()         { r.say("leaving") }
func (r *recorder) Unreachable()     { r.say("unreachable") }
func (r *recorder) Reachable()       { r.say("reachable") }

func (r *recorder) Returned(c workerproto.Connection) {
	r.keep(c)
	r.say("returned %q session=%t", c.Replay, c.Session)
}

func (r *recorder) Declined(c workerproto.Connection) {
	r.keep(c)
	r.say("declined %q", c.Replay)
}

func (r *recorder) keep(c workerproto.Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// await waits until it was told something that contains text.
func (r *recorder) await(text string) {
	r.t.Helper()
	late := time.After(deadline)
	for {
		r.mu.Lock()
		grown := r.grown
		r.mu.Unlock()
		if strings.Contains(r.all(), text) {
			return
		}
		select {
		case <-grown:
		case <-late:
			r.t.Fatalf("the handler was never told %q, but:\n%s", text, r.all())
		}
	}
}

// A peer is a worker that says what a test tells it to, and the link to it.
type peer struct {
	t      testing.TB
	link   *Link
	told   *recorder
	ran    chan error // what Run returned
	conn   *fdpass.Conn
	stream stream
	probes int // that were ignored

	elsewhere atomic.Bool    // clients come to port 3000 only
	answers   sync.WaitGroup // of Claim
}

var (
	numbers = uint32(100)
	peers   = make(map[testing.TB][]*peer) // of each test that runs
)

func newPeer(t testing.TB, s Serialization, hub *Hub) *peer {
	t.Helper()
	near, far, err := fdpass.Channel()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fdpass.Adopt(far)
	if err != nil {
		t.Fatal(err)
	}
	if hub == nil {
		hub = NewHub()
	}
	numbers++
	p := &peer{t: t, told: newRecorder(t), ran: make(chan error, 1), conn: conn, stream: stream{conn: conn, codec: s.codec()}}
	p.link = NewLink(near, workerproto.Terms{Slot: 1, Incarnation: numbers}, p.told,
		Options{Serialization: s, Hub: hub, Log: slog.New(slog.DiscardHandler), Places: p})
	peers[t] = append(peers[t], p)
	var running sync.WaitGroup
	running.Go(func() { p.ran <- p.link.Run() })
	t.Cleanup(func() {
		delete(peers, t)
		for _, c := range p.link.Close() {
			fdpass.Close(c.FD)
		}
		running.Wait()
		p.answers.Wait()
		p.stream.close()
		conn.Close()
	})
	return p
}

// The peer is also where its servers may listen: clients come to port 3000, and
// stickyd follows workers unless follows says otherwise.

func (p *peer) IsDoor(addr string) bool { return strings.HasSuffix(addr, ":3000") }

func (p *peer) Follows() bool { return !p.elsewhere.Load() }

func (p *peer) Claim(addr string, tls bool, answer func(at string, err error)) (release func(closed bool)) {
	p.told.say("claimed %s tls=%t", addr, tls)
	p.answers.Go(func() {
		if strings.HasSuffix(addr, ":1") {
			answer("", fmt.Errorf("cannot listen: %w", unix.EADDRINUSE))
			return
		}
		answer(clientsAt(addr), nil)
	})
	return p.releases(addr)
}

func (p *peer) Opened(addr string) { p.told.say("opened %s", addr) }

func (p *peer) Reclaim(addr string, tls bool) (release func(closed bool)) {
	p.told.say("reclaimed %s tls=%t", addr, tls)
	return p.releases(addr)
}

func (p *peer) releases(addr string) (release func(closed bool)) {
	return func(closed bool) { p.told.say("released %s closed=%t", addr, closed) }
}

// clientsAt is an address as stickyd listens there.
func clientsAt(addr string) string {
	if strings.HasPrefix(addr, ":") {
		return "[::]" + strings.Replace(addr, ":0", ":33333", 1)
	}
	return addr
}

// Open opens a pipe for a server of the worker, and for one that is the second of
// its like nothing.
func (p *peer) Open(network, addr string, nth int) (fd int, release func(), err error) {
	if nth > 0 {
		return -1, nil, fmt.Errorf("cannot open: %w", unix.EADDRINUSE)
	}
	p.told.say("opened %s %s", network, addr)
	ends := make([]int, 2)
	if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
		return -1, nil, err
	}
	fdpass.Close(ends[1])
	return ends[0], func() { p.told.say("released %s %s", network, addr) }, nil
}

func (p *peer) Reacquire(network, addr string, nth int) (release func(), err error) {
	p.told.say("reacquired %s %s %d", network, addr, nth)
	return func() { p.told.say("released again") }, nil
}

// say sends a message to stickyd, and perhaps a descriptor.
func (p *peer) say(o object, fds ...int) {
	p.t.Helper()
	p.sayRaw(p.stream.codec.encode(o), fds...)
}

func (p *peer) sayRaw(frame []byte, fds ...int) {
	p.t.Helper()
	p.conn.OnWritable(p.t.Context(), func() poll.Next {
		n, err := p.conn.TrySend(frame, fds)
		frame, fds = frame[n:], nil
		return poll.Until(len(frame) == 0 || err != nil && !errors.Is(err, fdpass.ErrWouldBlock))
	})
}

func (p *peer) sayCluster(o object) { p.say(append(object{{"cmd", "NODE_CLUSTER"}}, o...)) }

// hear waits for the next message from stickyd, and returns its descriptor if
// it has one.
func (p *peer) hear() (o object, fd int) {
	p.t.Helper()
	o, fd, ok := p.tryHear(deadline)
	if !ok {
		p.t.Fatal("no message came; the handler was told:\n", p.told.all())
	}
	return o, fd
}

func (p *peer) tryHear(patience time.Duration) (o object, fd int, ok bool) {
	p.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if frame, got, _ := p.stream.next(); got {
			o, err := p.stream.codec.decode(frame)
			if err != nil {
				p.t.Fatalf("stickyd says %q: %v", frame, err)
			}
			fd = -1
			if o.text("cmd") == "NODE_HANDLE" {
				fd, _ = p.stream.take()
			}
			return o, fd, true
		}
		if _, err := p.stream.receive(); err == nil {
			continue
		} else if err == io.EOF || time.Now().After(late) {
			return nil, -1, false
		}
	}
}

// hears fails the test if stickyd says something else to a library of ours.
func (p *peer) hears(act string) {
	p.t.Helper()
	if o, _ := p.hear(); o.text("cmd") != ours || o.text("act") != act {
		p.t.Fatal("not", act, "but", o)
	}
}

// silent fails the test if what the workers have said so far has stickyd say something.
// It is certain of that: a message of the test's own comes behind whatever stickyd
// had to say.
func (p *peer) silent() {
	p.t.Helper()
	for _, other := range peers[p.t] {
		other.handled()
	}
	numbers++
	p.link.send(object{{"silent", int(numbers)}})
	o, _, ok := p.tryHear(deadline)
	if end, _ := o.number("silent"); ok && end != int(numbers) {
		p.t.Fatal("stickyd says", o)
	}
}

// handled waits until stickyd has handled what the worker has said, its end included.
func (p *peer) handled() {
	p.t.Helper()
	p.link.Sync()
	p.answers.Wait()
	p.link.read.Lock()
	ended := p.link.failed != nil && !p.link.over
	p.link.read.Unlock()
	if !ended {
		return
	}
	select {
	case <-p.link.ran:
	case <-time.After(deadline):
		p.t.Fatal("the conversation with a worker that has ended goes on")
	}
}

func (p *peer) ack()  { p.say(object{{"cmd", "NODE_HANDLE_ACK"}}) }
func (p *peer) nack() { p.say(object{{"cmd", "NODE_HANDLE_NACK"}}) }

// hello says that a library of ours is there.
func (p *peer) hello(members ...member) {
	p.t.Helper()
	p.say(append(object{{"cmd", ours}, {"act", "hello"}, {"version", 1}, {"pid", 4711}, {"runtime", "node"}}, members...))
}

// sayOurs is what the library says.
func (p *peer) sayOurs(act string, members ...member) {
	p.t.Helper()
	p.say(append(object{{"cmd", ours}, {"act", act}}, members...))
}

// listening says that a server listens, and answers the ping whether it still does.
func (p *peer) listening(address any, kind, port int) {
	p.t.Helper()
	p.sayCluster(object{{"act", "listening"}, {"address", address}, {"port", port}, {"addressType", kind}, {"index", 0}, {"seq", 90}})
	o, fd := p.hearNext()
	if m := o.inner("msg"); fd < 0 || m.text("cmd") != cluster || m.text("act") != "newconn" {
		p.t.Fatal("whether it still listens is asked by", o)
	}
	fdpass.Close(fd)
	p.ack()
	p.sayCluster(object{{"ack", o.inner("msg").get("seq")}, {"accepted", false}, {"seq", 91}})
}

// start comes up, and answers the probe.
func (p *peer) start() {
	p.t.Helper()
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	_, fd := p.hear()
	p.ack()
	unix.Write(fd, []byte("HTTP/1.1 417"))
	p.told.await("ready")
	fdpass.Close(fd)
}

func (p *peer) hand(c workerproto.Connection) {
	p.t.Helper()
	if err := p.link.Hand(c); err != nil {
		p.t.Fatal(err)
	}
	p.link.Flush()
}

// connect returns the two ends of a TCP connection: the client's, and the
// accepted descriptor, which the caller owns.
func connect(t testing.TB) (client *net.TCPConn, accepted int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(deadline))
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	raw, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { accepted = dup(t, int(fd)) })
	return conn.(*net.TCPConn), accepted
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
