package workerproto

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// deadline is how long anything may take before a test gives up.
const deadline = 30 * time.Second

// A recorder is a Handler that writes down what it is told.
type recorder struct {
	t      testing.TB
	refuse string // id that Bind refuses

	mu       sync.Mutex
	said     []string
	returned []Connection // also the declined ones
	grown    chan struct{}
}

func newRecorder(t testing.TB) *recorder {
	r := &recorder{t: t, grown: make(chan struct{})}
	t.Cleanup(func() {
		for _, c := range r.returned {
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

func (r *recorder) Ready()          { r.say("ready") }
func (r *recorder) Unbind(b []byte) { r.say("unbind %s", b) }
func (r *recorder) Taken(n int)     { r.say("taken %d", n) }
func (r *recorder) Settled(n int)   { r.say("settled %d", n) }
func (r *recorder) Leaving()        { r.say("leaving") }
func (r *recorder) Unreachable()    { r.say("unreachable") }
func (r *recorder) Reachable()      { r.say("reachable") }

func (r *recorder) Bind(id []byte) bool {
	r.say("bind %s", id)
	return string(id) != r.refuse
}

func (r *recorder) Returned(c Connection) {
	r.keep(c)
	r.say("returned %q session=%t", c.Replay, c.Session)
}
func (r *recorder) Declined(c Connection) {
	r.keep(c)
	r.say("declined %q session=%t", c.Replay, c.Session)
}

func (r *recorder) keep(c Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returned = append(r.returned, c)
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

var testTerms = Terms{Slot: 2, Workers: 4, Incarnation: 7, Window: 32, Sessions: []string{"query:sid"}}

// runLink runs a Link and waits for its end when the test is over. ran gets
// what Run returned.
func runLink(t testing.TB, conn *fdpass.Conn, h Handler) (l *Link, ran <-chan error) {
	t.Helper()
	return runLinkIn(t, NewHub(), testTerms.Incarnation, conn, h)
}

func runLinkIn(t testing.TB, hub *Hub, incarnation uint32, conn *fdpass.Conn, h Handler) (l *Link, ran <-chan error) {
	t.Helper()
	terms := testTerms
	terms.Incarnation = incarnation
	l = NewLink(conn, terms, h, hub)
	result := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { result <- l.Run() })
	t.Cleanup(func() {
		for _, c := range l.Close() {
			fdpass.Close(c.FD)
		}
		running.Wait()
	})
	return l, result
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
	file, err := server.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	server.Close()
	accepted, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(accepted, true)
	return conn.(*net.TCPConn), accepted
}

// A script is a worker that says what a test tells it to.
type script struct {
	t    testing.TB
	conn *fdpass.Conn
	s    stream
}

func newScript(t testing.TB, conn *fdpass.Conn) *script {
	p := &script{t: t, conn: conn, s: stream{conn: conn}}
	t.Cleanup(p.s.close)
	return p
}

func (p *script) say(b []byte, fds ...int) {
	p.t.Helper()
	if n, err := p.conn.TrySend(b, fds); err != nil || n != len(b) {
		p.t.Fatalf("sent %d of %d bytes: %v", n, len(b), err)
	}
}

var greeting = append(hello{min: 1, max: 1, library: "script"}.append(nil), appendHeader(nil, Ready, 0, 0)...)

// hear waits for the next frame; the caller owns its descriptor.
func (p *script) hear() (f frame) {
	p.t.Helper()
	timer := time.AfterFunc(deadline, p.conn.Shutdown)
	defer timer.Stop()
	var got bool
	var err error
	p.conn.OnReadable(func() poll.Next {
		for {
			f, got, err = p.s.next()
			if got || err != nil {
				return poll.Done
			}
			if _, err = p.s.receive(); err != nil {
				return poll.Until(err == io.EOF)
			}
		}
	})
	if !got {
		p.t.Fatal("no frame came: ", err)
	}
	return f
}
