package workerproto

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/fdtest"
)

// A supervisor is stickyd's side of a worker's conversation, as a test has it.
type supervisor struct {
	*script
	lost uint64 // id of the last connection whose descriptor was "lost"

	taken  uint64 // from the TAKEN frames that were skipped
	closed uint32 // from the CLOSED frames that were skipped
}

// startWorker returns a worker that has said HELLO and got WELCOME.
func startWorker(t testing.TB, sessions ...string) (*Worker, *supervisor) {
	t.Helper()
	terms := testTerms
	if len(sessions) > 0 {
		terms.Sessions = sessions
	}
	ours, theirs := pairOf(t)
	p := &supervisor{script: newScript(t, ours), lost: 1 << 32}
	p.say(terms.append(nil, Version)) // it is there when the worker asks
	w, err := attach(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Shutdown(); <-w.ended })
	if f := p.hear(); f.kind != Hello {
		t.Fatalf("the worker says %s first, want HELLO", f.kind)
	}
	return w, p
}

// hand sends a connection and closes our copy, as stickyd does once it is
// taken. It returns the client's end.
func (p *supervisor) hand(id uint64, flags uint8, replay string) *net.TCPConn {
	p.t.Helper()
	client, fd := connect(p.t)
	p.handFD(id, flags, replay, fd)
	fdpass.Close(fd)
	return client
}

func (p *supervisor) handFD(id uint64, flags uint8, replay string, fd int) {
	p.t.Helper()
	b := appendConn(nil, Conn, flags, id, []byte(replay))
	setDescriptors(b, 1)
	p.say(b, fd)
}

// want waits for a frame of the given kind. It skips, and adds up, TAKEN and
// CLOSED, but not READY or anything that has a meaning for routing.
func (p *supervisor) want(kind Type) frame {
	p.t.Helper()
	for {
		f := p.hear()
		switch {
		case f.kind == kind:
			f.body = bytes.Clone(f.body)
			return f
		case f.kind == Taken:
			n, _ := parseNumber(Taken, f.body)
			if n <= p.taken {
				p.t.Errorf("TAKEN %d after TAKEN %d", n, p.taken)
			}
			p.taken = n
		case f.kind == Closed:
			n, _ := parseCount(Closed, f.body)
			p.closed += n
		case f.kind == Leaving: // Close says it at once, wherever that is
		default:
			if f.fd >= 0 {
				fdpass.Close(f.fd)
			}
			p.t.Fatalf("the worker says %s %q, want %s", f.kind, f.body, kind)
		}
	}
}

// wantNumber waits for a TAKEN or DECLINE and checks its number.
func (p *supervisor) wantNumber(kind Type, n uint64) {
	p.t.Helper()
	if got, err := parseNumber(kind, p.want(kind).body); got != n || err != nil {
		p.t.Errorf("%s %d (%v), want %d", kind, got, err, n)
	}
}

// silence checks that the worker has said nothing more up to now.
func (p *supervisor) silence() {
	p.t.Helper()
	if f, ok := p.heard(); ok {
		p.t.Errorf("the worker says %s %q", f.kind, f.body)
	}
}

// heard returns the next frame if it is there already.
func (p *supervisor) heard() (frame, bool) {
	p.t.Helper()
	for {
		f, ok, err := p.s.next()
		if ok || err != nil {
			return f, ok
		}
		if _, err = p.s.receive(); err != nil {
			return frame{}, false
		}
	}
}

// sync returns when the worker has handled everything that was said: it sends
// a connection without its descriptor, which the worker declines at once.
func (p *supervisor) sync() {
	p.t.Helper()
	p.lost++
	p.say(raw(Conn, FlagDescriptor, 1, string(binary.BigEndian.AppendUint64(nil, p.lost))))
	p.wantNumber(Decline, p.lost)
}

func accept(t testing.TB, w *Worker) *workerConn {
	t.Helper()
	c, err := w.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(deadline))
	return c.(*workerConn)
}

func readString(t testing.TB, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	n, err := io.ReadFull(r, b)
	if err != nil {
		t.Errorf("read %q: %v", b[:n], err)
	}
	return string(b[:n])
}

func TestListenWithoutStickyd(t *testing.T) {
	os.Unsetenv(EnvFD)
	w, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := w.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := w.Bind(context.Background(), "s1"); err != nil {
		t.Error(err)
	}
	if err := w.Bind(context.Background(), ""); err != ErrID {
		t.Errorf("Bind of no id: %v; it should fail where it is developed, too", err)
	}
	w.Unbind("s1")
	if w.Slot() != 0 || w.Workers() != 0 {
		t.Errorf("slot %d of %d", w.Slot(), w.Workers())
	}
	select {
	case <-w.Draining():
		t.Error("draining")
	default:
	}
	w.Close()
	if _, err := w.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := Listen("127.0.0.1:nonsense"); err == nil {
		t.Error("there is no port nonsense")
	}
}

// setEnv announces a control socket as stickyd does, and makes sure that
// nothing of it is left after the test.
func setEnv(t *testing.T, fd string) {
	for name, value := range map[string]string{EnvFD: fd, EnvWorker: "2", EnvWorkers: "4", EnvProtocol: "1"} {
		t.Setenv(name, value)
	}
}

func TestListenUnderStickyd(t *testing.T) {
	ours, file, err := fdpass.Pair(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	fd, err := unix.Dup(int(file.Fd())) // blocking and inheritable, as exec leaves it
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	setEnv(t, strconv.Itoa(fd))
	p := &supervisor{script: newScript(t, ours)}

	type result struct {
		w   *Worker
		err error
	}
	listened := make(chan result, 1)
	go func() {
		w, err := Listen("ignored under stickyd")
		listened <- result{w, err}
	}()
	if f := p.hear(); f.kind != Hello || string(f.body) != "min=1\nmax=1\nlibrary=go\npage=1\n" {
		t.Errorf("first comes %s %q", f.kind, f.body)
	}
	select {
	case r := <-listened:
		t.Fatalf("Listen returns %v before WELCOME", r.err)
	default:
	}
	p.say(testTerms.append(nil, Version))
	r := <-listened
	if r.err != nil {
		t.Fatal(r.err)
	}
	w := r.w
	t.Cleanup(func() { w.conn.Close() })
	for _, name := range []string{EnvFD, EnvWorker, EnvWorkers, EnvProtocol} {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is still there: a child would take itself for a worker", name, v)
		}
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x (%v): a child would inherit the control socket", flags, err)
	}
	if w.Slot() != 2 || w.Workers() != 4 || w.Addr().String() != "worker 2" || w.Addr().Network() != "stickyd" {
		t.Errorf("slot %d of %d, address %v", w.Slot(), w.Workers(), w.Addr())
	}

	// Sessions may be there before it is ready, and it is not until Accept.
	w.Bind(context.Background(), "early")
	if f := p.want(Bind); string(f.body) != "\x00\x00\x00\x00\x00\x05early" {
		t.Errorf("BIND %q", f.body)
	}
	p.sync()
	accepted := make(chan error, 1)
	go func() {
		_, err := w.Accept()
		accepted <- err
	}()
	p.want(Ready)
	w.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	p.want(Leaving)
	w.Accept()
	p.sync()
	p.silence() // READY is said once
}

func TestListenFails(t *testing.T) {
	_, _ = time.Now().Zone() // opens a file the first time, perhaps while descriptors are counted
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	for _, tt := range []struct {
		name, fd, want string
	}{
		{"no number", "three", `cannot use STICKYD_FD="three": not a descriptor number`},
		{"not open", "99999", "STICKYD_FD: cannot use descriptor 99999: not a stream socket"},
		{"no socket", strconv.Itoa(int(pipe.Fd())), "not a stream socket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setEnv(t, tt.fd)
			if _, err := Listen("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name string
		say  []byte // nothing: hang up
		want string
	}{
		{"stickyd is gone", nil, "it went away"},
		{"another version", testTerms.append(nil, 2), "WELCOME with version 2"},
		{"a place that this library does not know", Terms{Sessions: []string{"trailer:x"}}.append(nil, 1), "trailer"},
		{"nonsense", appendHeader(nil, Drain, 0, MaxBody+1), "body of 131073 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := openDescriptors(t)
			ours, file, err := fdpass.Pair(nil)
			if err != nil {
				t.Fatal(err)
			}
			fd, err := unix.Dup(int(file.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			file.Close()
			setEnv(t, strconv.Itoa(fd))
			if tt.say != nil {
				ours.TrySend(tt.say, nil)
			} else {
				ours.CloseWrite()
			}
			if _, err := Listen(""); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			ours.Close()
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors were open before, %d are now", before, after)
			}
		})
	}
}

// TAKEN is said before the first byte is read or written, and not before that
// or the next Accept: an untaken connection shows that a worker hangs.
func TestWorkerSaysTaken(t *testing.T) {
	w, p := startWorker(t)
	var clients []*net.TCPConn
	for id := range 6 {
		clients = append(clients, p.hand(uint64(1+id), 0, ""))
	}
	p.sync() // all are in the queue
	var conns []*workerConn
	for range 6 {
		conns = append(conns, accept(t, w))
		if len(conns) == 1 {
			p.want(Ready)
		}
		p.silence()
	}
	if conns[0].RemoteAddr().String() != clients[0].LocalAddr().String() {
		t.Errorf("the first connection is from %v, want %v", conns[0].RemoteAddr(), clients[0].LocalAddr())
	}

	// There is nothing to read yet, so Read has not returned when TAKEN comes.
	read := make(chan string, 1)
	go func() { read <- readString(t, conns[1], 5) }()
	p.wantNumber(Taken, 6) // which covers those before
	clients[1].Write([]byte("hello"))
	if got := <-read; got != "hello" {
		t.Errorf("read %q", got)
	}
	conns[0].Write([]byte("x"))
	conns[5].CloseWrite()
	conns[4].Close()
	p.silence()

	for _, tt := range []struct {
		name  string
		touch func(c *workerConn)
	}{
		{"Write", func(c *workerConn) { c.Write([]byte("x")) }},
		{"ReadFrom", func(c *workerConn) { c.ReadFrom(strings.NewReader("x")) }},
		{"CloseWrite", func(c *workerConn) { c.CloseWrite() }},
		{"Close", func(c *workerConn) { c.Close() }},
	} {
		p.taken = 0
		id := w.acked.Load() + 1
		client := p.hand(id, FlagSession, "")
		c := accept(t, w)
		for f, ok := p.heard(); ok; f, ok = p.heard() {
			if f.kind != Closed {
				t.Errorf("%s before %s", f.kind, tt.name)
			}
		}
		tt.touch(c)
		client.Read(make([]byte, 1)) // it has come, whatever it is
		f, ok := p.heard()
		for ok && f.kind == Closed {
			f, ok = p.heard()
		}
		if !ok || f.kind != Taken {
			t.Errorf("%s is noticed by the client, and stickyd has not heard TAKEN", tt.name)
		}
	}

	// Accept says it, too: the next connection may be long in coming.
	p.hand(100, 0, "")
	accept(t, w)
	done := make(chan struct{})
	go func() { defer close(done); w.Accept() }()
	p.wantNumber(Taken, 100)
	w.Close()
	<-done
}

// What was read off it before comes first, then what is in the socket.
func TestWorkerReadsReplayFirst(t *testing.T) {
	w, p := startWorker(t)
	client := p.hand(1, 0, strings.Repeat("r", MaxReplay))
	client.Write([]byte("socket"))
	client.CloseWrite()
	got, err := io.ReadAll(accept(t, w))
	if want := strings.Repeat("r", MaxReplay) + "socket"; string(got) != want || err != nil {
		t.Errorf("read %d bytes (%v), want %d", len(got), err, len(want))
	}
}

func TestWorkerDeclines(t *testing.T) {
	t.Run("without a descriptor", func(t *testing.T) {
		w, p := startWorker(t)
		client := p.hand(1, 0, "a")
		p.say(raw(Conn, FlagDescriptor, 1, "\x00\x00\x00\x00\x00\x00\x00\x02"))
		p.wantNumber(Decline, 2) // before more is sent: see sending.alone
		p.hand(3, 0, "c")
		for _, want := range []string{"a", "c"} {
			if got := readString(t, accept(t, w), 1); got != want {
				t.Errorf("accepted %q, want %q", got, want)
			}
		}
		client.Close()
	})
	t.Run("more than there is room for", func(t *testing.T) {
		w, p := startWorker(t)
		client, fd := connect(t)
		defer client.Close()
		for id := range uint64(maxWindow + 2) {
			p.handFD(1+id, 0, "", fd)
		}
		p.wantNumber(Decline, maxWindow+1)
		p.wantNumber(Decline, maxWindow+2)
		fdpass.Close(fd)
		for range maxWindow {
			accept(t, w).Close()
		}
		p.want(Ready)
		w.Bind(context.Background(), "the end")
		if p.want(Bind); p.taken != maxWindow {
			t.Errorf("TAKEN %d, want %d", p.taken, maxWindow)
		}
	})
	t.Run("after Close", func(t *testing.T) {
		w, p := startWorker(t)
		first, second := p.hand(1, 0, ""), p.hand(2, 0, "")
		p.sync()
		c := accept(t, w)
		p.want(Ready)
		before := openDescriptors(t)
		w.Close()
		p.wantNumber(Taken, 1) // or DECLINE 2 would be of a connection before a taken one
		p.wantNumber(Decline, 2)
		if after := openDescriptors(t); after != before-1 {
			t.Errorf("%d descriptors were open before, %d are now: what is declined is kept", before, after)
		}
		p.hand(3, 0, "")
		p.wantNumber(Decline, 3)
		if _, err := w.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		// What was accepted lives on, and so do sessions.
		first.Write([]byte("x"))
		if readString(t, c, 1) != "x" {
			t.Error("an accepted connection is gone")
		}
		w.Bind(context.Background(), "late")
		p.want(Bind)
		w.Close()
		second.Close()
	})
}

// A worker that is out of descriptors needs none for a connection that has come.
func TestWorkerOutOfDescriptors(t *testing.T) {
	w, p := startWorker(t)
	client, fd := connect(t)
	p.handFD(1, 0, "", fd)
	p.sync()

	restore := fdtest.Exhaust(t, 0)
	c, err := w.Accept()
	restore()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "x")
	if readString(t, client, 1) != "x" {
		t.Error("the connection does not work")
	}
	c.Close()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("status flags %#x (%v): stickyd's copy blocks", flags, err)
	}
	fdpass.Close(fd)
	p.want(Ready)
	p.wantNumber(Taken, 1)
	w.Close()
}

func TestWorkerBinds(t *testing.T) {
	w, p := startWorker(t)
	bind := func(ctx context.Context, id string, want string) {
		t.Helper()
		if err := w.Bind(ctx, id); err != nil {
			t.Fatal(err)
		}
		f, ok := p.heard() // Bind has returned, so it must be there
		if !ok || f.kind != Bind || string(f.body) != want {
			t.Errorf("%s %q, want BIND %q", f.kind, f.body, want)
		}
	}
	background := context.Background()
	bind(background, "s1", "\x00\x00\x00\x00\x00\x02s1")
	bind(background, "s1", "\x00\x00\x00\x00\x00\x02s1")
	longest := strings.Repeat("\xff", MaxID)
	bind(background, longest, "\x00\x00\x00\x00\x01\x00"+longest)
	for _, id := range []string{"", longest + "x"} {
		if err := w.Bind(background, id); err != ErrID {
			t.Errorf("Bind of %d bytes: %v, want %v", len(id), err, ErrID)
		}
	}
	w.Unbind("never bound")
	p.silence()
	w.Unbind("s1")
	if f, _ := p.heard(); f.kind != Unbind || string(f.body) != "\x00\x02s1" {
		t.Errorf("%s %q", f.kind, f.body)
	}
	w.Unbind("s1")
	p.silence()

	// What was refused is not ours to end.
	bind(background, "theirs", "\x00\x00\x00\x00\x00\x06theirs")
	p.say(appendIDFrame(nil, Refused, "theirs"))
	p.sync()
	w.Unbind("theirs")
	p.silence()

	// A connection is part of one session, or of several, but counted once.
	p.hand(1, 0, "")
	c := accept(t, w)
	p.want(Ready)
	ctx := context.WithValue(background, connKey{}, net.Conn(c))
	bind(ctx, "s2", "\x00\x00\x00\x01\x00\x02s2")
	bind(ctx, "s3", "\x00\x00\x00\x00\x00\x02s3")
	p.hand(2, FlagSession, "")
	c = accept(t, w)
	ctx = context.WithValue(background, connKey{}, net.Conn(c))
	f, ok := p.heard() // perhaps TAKEN of the first, by Accept
	if ok && f.kind != Taken {
		t.Errorf("%s", f.kind)
	}
	bind(ctx, "s4", "\x00\x00\x00\x00\x00\x02s4")
}

// CLOSED tells of connections that were load, of many at once, of each once.
func TestWorkerCountsClosed(t *testing.T) {
	w, p := startWorker(t)
	const n = 50
	client, fd := connect(t)
	defer client.Close()
	var conns []*workerConn
	for id := range uint64(n + 2) {
		var flags uint8
		if id == 0 {
			flags = FlagSession
		}
		p.handFD(1+id, flags, "", fd)
		conns = append(conns, accept(t, w))
	}
	fdpass.Close(fd)
	w.Bind(context.WithValue(context.Background(), connKey{}, net.Conn(conns[1])), "s1")
	for _, c := range conns {
		c.Close()
		c.Close()
	}
	p.want(Ready)
	p.want(Bind)
	frames := 0
	for p.closed < n {
		count, err := parseCount(Closed, p.want(Closed).body)
		if err != nil || count == 0 {
			t.Fatalf("CLOSED %d (%v)", count, err)
		}
		p.closed += count
		frames++
	}
	if p.closed != n {
		t.Errorf("%d connections have closed, want %d", p.closed, n)
	}
	if frames == n {
		t.Errorf("%d frames for %d connections", frames, n)
	}
}

// When stickyd sends no more, what it had sent is still accepted.
func TestWorkerAcceptsWhatWasSentBeforeTheEnd(t *testing.T) {
	w, p := startWorker(t)
	p.hand(1, 0, "a")
	p.say(appendCount(nil, Drain, 1000))
	p.say(appendCount(nil, Drain, 2000)) // another deadline
	p.hand(2, FlagSession, "b")
	p.conn.CloseWrite()
	for _, want := range []string{"a", "b"} {
		if got := readString(t, accept(t, w), 1); got != want {
			t.Errorf("accepted %q, want %q", got, want)
		}
	}
	if _, err := w.Accept(); err != ErrEnded {
		t.Errorf("Accept at the end: %v", err)
	}
	<-w.Draining()
	// It can still speak.
	w.Bind(context.Background(), "s1")
	p.want(Ready)
	p.want(Bind)
}

// A stickyd that breaks the rules is left, with what it had sent.
func TestWorkerEndsAtProtocolError(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  []byte
	}{
		{"a second WELCOME", bytes.Repeat(testTerms.append(nil, Version), 3)},
		{"CONN without a number", raw(Conn, 0, 0, "1234")},
		{"CONN with too much", raw(Conn, 0, 0, strings.Repeat("x", 9+MaxReplay))},
		{"DRAIN without a number", raw(Drain, 0, 0, "123")},
		{"REFUSED of half an id", raw(Refused, 0, 0, "\x00\x05abcd")},
		{"a frame that is too long", appendHeader(nil, 0x7f, 0, MaxBody+1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := startWorker(t)
			p.say(raw(0x7f, 0, 0, "a later version's frame")) // skipped
			p.hand(1, 0, "a")
			p.say(tt.say)
			if got := readString(t, accept(t, w), 1); got != "a" {
				t.Errorf("accepted %q", got)
			}
			ended := make(chan error, 1)
			go func() { _, err := w.Accept(); ended <- err }()
			select {
			case err := <-ended:
				if err != ErrEnded {
					t.Errorf("Accept: %v", err)
				}
			case <-time.After(deadline):
				t.Error("the worker goes on")
				w.Close()
			}
		})
	}
}

// Whatever goes on at a time, the worker keeps to the protocol, and each
// connection is either taken or declined: stickyd's own side is the judge.
func TestWorkerKeepsToTheProtocolUnderLoad(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, ran := runLink(t, ours, r)
	w, err := attach(theirs)
	if err != nil {
		t.Fatal(err)
	}
	client, fd := connect(t)
	defer client.Close()
	defer fdpass.Close(fd)

	const n = 200
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				c, err := w.Accept()
				if err != nil {
					return
				}
				work.Go(func() {
					wc := c.(*workerConn)
					if wc.touch(); w.acked.Load() < wc.id {
						t.Errorf("connection %d is used, and TAKEN was said up to %d", wc.id, w.acked.Load())
					}
					id := fmt.Sprintf("s%d", wc.id)
					switch wc.id % 4 {
					case 0:
						c.Write([]byte("x"))
					case 1:
						w.Bind(context.WithValue(context.Background(), connKey{}, c), id)
					case 2:
						w.Bind(context.Background(), id)
						w.Unbind(id)
					case 3:
						if err := wc.giveBack([]byte("GET")); err != nil {
							t.Error(err)
						}
						return
					}
					c.Close()
				})
			}
		})
	}
	r.await("ready")
	for range n {
		// More than a window is untaken here; the queue has room for all.
		if err := l.Hand(Connection{FD: dup(t, fd)}); err != nil {
			t.Fatal(err)
		}
		l.Flush()
	}
	r.await("returned") // it is in the midst of it
	w.Close()
	work.Wait()
	ended := time.After(deadline)
	for {
		r.mu.Lock()
		grown := r.grown
		r.mu.Unlock()
		told := sumUp(r.all())
		if told["taken"]+told["declined"] == n && told["settled"] == told["taken"] {
			break
		}
		select {
		case <-grown:
		case err := <-ran:
			t.Fatal("the worker broke the protocol: ", err)
		case <-ended:
			t.Fatalf("%v of %d connections; and no load is left when as many are settled as were taken", told, n)
		}
	}
}

// However many wait in Accept, nothing is read before TAKEN was said of it.
func TestWorkerSaysTakenToManyAcceptors(t *testing.T) {
	for range 10 {
		w, p := startWorker(t)
		client, fd := connect(t)
		for id := range uint64(maxWindow) {
			p.handFD(1+id, 0, "", fd)
		}
		fdpass.Close(fd)
		p.sync()
		var accepts sync.WaitGroup
		for range 8 {
			accepts.Go(func() {
				for range maxWindow / 10 {
					c, err := w.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					runtime.Gosched() // to whoever came first and notes it last
					wc := c.(*workerConn)
					if wc.touch(); w.acked.Load() < wc.id {
						t.Errorf("connection %d is used, and TAKEN was said up to %d", wc.id, w.acked.Load())
					}
					c.Close()
				}
			})
		}
		go func() { accepts.Wait(); w.Close() }()
		p.want(Ready)
		// All were taken up to the first that is declined, and TAKEN is said of
		// none behind it.
		const taken = maxWindow / 10 * 8
		p.wantNumber(Decline, taken+1)
		if p.taken != taken {
			t.Errorf("TAKEN %d, want %d", p.taken, taken)
		}
		client.Close()
	}
}

// sumUp adds up what a recorder was told.
func sumUp(said string) map[string]int {
	told := make(map[string]int)
	for line := range strings.Lines(said) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(rest)
		if err != nil {
			n = 1
		}
		told[word] += n
	}
	return told
}

// A listener without Serve keeps nothing of what it reads.
func TestConnOfAPlainListenerKeepsNothing(t *testing.T) {
	w, p := startWorker(t)
	client := p.hand(1, 0, "")
	c := accept(t, w)
	client.Write(make([]byte, 10_000))
	if _, err := io.ReadFull(c, make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	if n := len(c.heard.unanswered()); n > 0 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestDrainingWhenStickydIsGone(t *testing.T) {
	w, p := startWorker(t)
	p.conn.Shutdown()
	select {
	case <-w.Draining():
	case <-time.After(deadline):
		t.Fatal("the worker is never told")
	}
}

// An accept loop need not know whether stickyd is there.
func TestAcceptAfterTheEndIsNetErrClosed(t *testing.T) {
	closed, _ := startWorker(t)
	closed.Close()
	ended, p := startWorker(t)
	p.conn.CloseWrite()
	plain, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain.Close()
	for name, w := range map[string]*Worker{"closed": closed, "ended": ended, "without stickyd": plain} {
		if _, err := w.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept returns %v", name, err)
		}
	}
}

func TestAcceptAfterCloseDoesNotSayReady(t *testing.T) {
	w, p := startWorker(t)
	w.Close()
	if _, err := w.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	p.want(Leaving)
	p.sync()
	p.silence()
}
