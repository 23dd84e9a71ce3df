package workerproto

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// A worker that breaks the rules is found out, whatever the rule. It was
// handed connections 1 to 3, the last one for a session, and took the first.
func TestLinkEndsAtProtocolError(t *testing.T) {
	number := func(kind Type, n uint64) []byte { return appendNumber(nil, kind, n) }
	body := func(kind Type, b string) []byte { return append(appendHeader(nil, kind, 0, len(b)), b...) }
	giveBack := func(id uint64, replay int) []byte {
		b := appendConn(nil, Return, 0, id, make([]byte, replay))
		setDescriptors(b, 1)
		return b
	}
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	for _, tt := range []struct {
		name string
		say  []byte
		want string
		send func(socket int) []int // what goes with it, if anything
	}{
		{"a second HELLO", greeting, "a second HELLO", nil},
		{"a second READY", body(Ready, ""), "a second READY", nil},
		{"TAKEN of one that was never sent", number(Taken, 4), "TAKEN of connection 4, the last one sent is 3", nil},
		{"TAKEN without a number", body(Taken, "1234567"), "TAKEN with a body of 7 bytes", nil},
		{"DECLINE of one that was never sent", number(Decline, 4), "DECLINE of connection 4", nil},
		{"DECLINE of one that was taken", number(Decline, 1), "DECLINE of connection 1", nil},
		{"DECLINE twice", slices.Concat(number(Decline, 2), number(Decline, 2)), "DECLINE of connection 2", nil},
		{"CLOSED of more than there are", appendCount(nil, Closed, 3), "CLOSED of 3 connections, but only 2 were open", nil},
		{"CLOSED without a number", body(Closed, "123"), "CLOSED with a body of 3 bytes", nil},
		{"BIND of more connections than there are", appendBind(nil, 3, "a"), "BIND of 3 connections, but only 2 were open", nil},
		{"BIND without a number", body(Bind, "12"), "BIND with a body of 2 bytes", nil},
		{"an empty id", appendBind(nil, 0, ""), "BIND with an id of 0 bytes", nil},
		{"an id of 257 bytes", appendBind(nil, 0, strings.Repeat("a", 257)), "BIND with an id of 257 bytes", nil},
		{"an id longer than the frame", body(Unbind, "\x00\x05abcd"), "UNBIND with an id of 5 bytes in the 4 left", nil},
		{"half a length", body(Unbind, "\x00"), "half a length", nil},
		{"a frame that is too long", appendHeader(nil, 0xff, 0, MaxBody+1), "body of 131073 bytes", nil},
		{"RETURN of one that was never sent", giveBack(4, 0), "RETURN of connection 4, which was not taken", oneSocket},
		{"RETURN of connection 0", giveBack(0, 0), "RETURN of connection 0, which was not taken", oneSocket},
		{"RETURN of one that was not taken", giveBack(2, 0), "RETURN of connection 2, which was not taken", oneSocket},
		{"RETURN of a pipe", giveBack(1, 0), "without a stream socket", func(int) []int { return []int{int(pipe.Fd())} }},
		{"RETURN of nothing", body(Return, "\x00\x00\x00\x00\x00\x00\x00\x01"), "without a stream socket", nil},
		{"RETURN with too much", giveBack(1, MaxReplay+1), "69633 bytes to replay", oneSocket},
		{"RETURN without a number", raw(Return, FlagDescriptor, 1, "1234"), "body of 4 bytes", oneSocket},
		{"a descriptor that no frame owns", body(Closed, "\x00\x00\x00\x00"), "no frame announced", oneSocket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := openDescriptors(t)
			ours, theirs := pairOf(t)
			r := newRecorder(t)
			l, ran := runLink(t, ours, r)
			p := newScript(t, theirs)
			p.say(greeting)
			r.await("ready")
			client, socket := connect(t)
			for _, c := range []Connection{{}, {}, {Session: true}} {
				c.FD = dup(t, socket)
				l.Hand(c)
				l.Flush()
			}
			for _, want := range []Type{Welcome, Conn, Conn, Conn} {
				f := p.hear()
				if f.kind != want {
					t.Fatalf("%s, want %s", f.kind, want)
				}
				if f.fd >= 0 {
					fdpass.Close(f.fd)
				}
			}
			p.say(number(Taken, 1))

			var fds []int
			if tt.send != nil {
				fds = tt.send(socket)
			}
			go p.conn.OnWritable(t.Context(), func() poll.Next { // what is too long is longer than a message
				n, err := p.conn.TrySend(tt.say, fds)
				tt.say, fds = tt.say[n:], nil
				return poll.Until(len(tt.say) == 0 || err != nil && !errors.Is(err, fdpass.ErrWouldBlock))
			})
			err := <-ran
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
			for _, c := range l.Close() {
				fdpass.Close(c.FD)
			}
			fdpass.Close(socket)
			theirs.Close()
			client.Close()
			for _, c := range r.returned {
				fdpass.Close(c.FD)
			}
			r.returned = nil
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors were open before, %d are now", before, after)
			}
		})
	}
}

func oneSocket(socket int) []int { return []int{socket} }

func dup(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLinkWantsAProperHello(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		say        []byte
	}{
		{"HTTP", "body of 790644820 bytes", []byte("GET / HTTP/1.1\r\n")}, // "/ HT"
		{"another frame", "the first frame is READY, not HELLO", appendHeader(nil, Ready, 0, 0)},
		{"a later version only", "speaks protocol versions 2 to 3, this stickyd speaks 1", hello{min: 2, max: 3}.append(nil)},
		{"no version", "HELLO with versions 0 to 0", append(appendHeader(nil, Hello, 0, 4), "a=b\n"...)},
		{"no number", `HELLO with the line "min=one\n"`, append(appendHeader(nil, Hello, 0, 8), "min=one\n"...)},
		{"no line", `HELLO with the line "min"`, append(appendHeader(nil, Hello, 0, 3), "min"...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := pairOf(t)
			_, ran := runLink(t, ours, newRecorder(t))
			newScript(t, theirs).say(tt.say)
			if err := <-ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLinkTellsItsHandler(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	r.refuse = "mine"
	l, ran := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	if f := p.hear(); f.kind != Welcome || string(f.body) !=
		"version=1\nslot=2\nworkers=4\nincarnation=7\nwindow=32\nsession=query:sid\n" {
		t.Errorf("%s %q", f.kind, f.body)
	}
	client, socket := connect(t)
	client.Write([]byte("unread"))
	for i := range 3 {
		l.Hand(Connection{FD: dup(t, socket), Replay: []byte{'a' + byte(i)}, Session: i == 1, Refusals: i})
		l.Flush()
		if f := p.hear(); f.kind != Conn || f.fd < 0 || f.flags != FlagDescriptor|byte(i%2*FlagSession) ||
			string(f.body) != "\x00\x00\x00\x00\x00\x00\x00"+string(byte(1+i))+string(byte('a'+i)) {
			t.Errorf("%s, flags %d, descriptor %d, %q", f.kind, f.flags, f.fd, f.body)
		} else {
			fdpass.Close(f.fd)
		}
	}
	fdpass.Close(socket)

	before := openDescriptors(t)
	p.say(appendNumber(nil, Taken, 2))
	r.await("taken 2")
	if after := openDescriptors(t); after != before-2 {
		t.Errorf("%d descriptors were open before, %d are now: copies of what was taken are kept", before, after)
	}
	p.say(appendNumber(nil, Taken, 1)) // nothing new in it
	p.say(appendNumber(nil, Decline, 3))
	r.await(`declined "c" session=false`)
	declined := r.returned[0]
	if declined.Refusals != 2 {
		t.Errorf("%d refusals, want 2", declined.Refusals)
	}

	// Unknown frames are a later version's; a descriptor of one is closed.
	before = openDescriptors(t)
	p.say(raw(0xe0, FlagDescriptor, 1, "whatever"), declined.FD)
	p.say(appendBind(nil, 1, "s1"))
	r.await("bind s1\nsettled 1")
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors were open before, %d are now: an unknown frame's is kept", before, after)
	}
	p.say(appendBind(nil, 0, "mine"))
	if f := p.hear(); f.kind != Refused || string(f.body) != "\x00\x04mine" {
		t.Errorf("%s %q", f.kind, f.body)
	}
	p.say(appendIDFrame(nil, Unbind, "s1"))

	giveBack := raw(Return, FlagDescriptor|FlagSession, 1, "\x00\x00\x00\x00\x00\x00\x00\x02GET /")
	p.say(giveBack, declined.FD)
	r.await(`returned "GET /" session=true`)
	const want = `ready
taken 2
declined "c" session=false
bind s1
settled 1
bind mine
unbind s1
returned "GET /" session=true`
	if got := strings.Replace(r.all(), "settled 1\ndeclined", "declined", 1); got != want {
		t.Errorf("the handler was told\n%s\nwant\n%s", got, want)
	}

	p.say(appendHeader(nil, Leaving, 0, 0))
	r.await("leaving")

	// A later version's field at the end of a frame is no error.
	p.say(append(appendHeader(nil, Closed, 0, 6), 0, 0, 0, 0, 9, 9))
	r.await("settled 0")
	p.say(giveBack, declined.FD)
	if err := <-ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "RETURN of connection 2, which was returned before") {
		t.Errorf("ended with %v", err)
	}
}

// What the worker never took comes back once, sent or not.
func TestLinkCloseReturnsWhatWasNotTaken(t *testing.T) {
	before := openDescriptors(t)
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, ran := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	r.await("ready")
	_, socket := connect(t)
	const n = 200 // with a large replay, more than the socket holds
	for range n {
		if err := l.Hand(Connection{FD: dup(t, socket), Replay: make([]byte, 10_000)}); err != nil {
			t.Fatal(err)
		}
		l.Flush()
	}
	if at, ok := l.UntakenSince(); !ok || time.Since(at) > deadline {
		t.Errorf("the oldest untaken connection is from %v, %t", at, ok)
	}
	p.say(appendNumber(nil, Taken, 3)) // Close learns of it
	orphans := l.Close()
	if len(orphans) != n-3 {
		t.Errorf("%d connections come back, want %d", len(orphans), n-3)
	}
	for _, c := range orphans {
		if _, err := unix.FcntlInt(uintptr(c.FD), unix.F_GETFD, 0); err != nil || len(c.Replay) != 10_000 {
			t.Fatalf("descriptor %d: %v; %d bytes to replay", c.FD, err, len(c.Replay))
		}
		fdpass.Close(c.FD)
	}
	if again := l.Close(); len(again) != 0 {
		t.Errorf("%d connections come back twice", len(again))
	}
	if err := l.Hand(Connection{FD: socket}); err != ErrEnded {
		t.Errorf("Hand after Close: %v", err)
	}
	if err := <-ran; err != nil {
		t.Errorf("ended with %v", err)
	}
	fdpass.Close(socket)
	theirs.Close()                                     // and with it what waits in it
	if after := openDescriptors(t); after > before+1 { // + the client's
		t.Errorf("%d descriptors were open before, %d are now", before, after)
	}
}

// Sync is what the promise stands on that a request right after its handshake
// is never misrouted: what a worker had sent has been handled when it returns.
func TestLinkSyncHandlesWhatWasSent(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	for i := range 1000 {
		id := strings.Repeat("i", 1+i%256)
		p.say(appendBind(nil, 0, id))
		l.Sync()
		if said := r.all(); !strings.HasSuffix(said, "\nbind "+id) {
			t.Fatal("after Sync the handler was not told of the last BIND")
		}
	}
}

// A worker that goes on and on must not keep everybody who waits in Sync.
func TestLinkSyncReturnsUnderLoad(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	frames := []byte{}
	for range 1000 {
		frames = appendCount(frames, Closed, 0)
	}
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for {
			select {
			case <-stop:
				return
			default:
				theirs.TrySend(frames, nil)
			}
		}
	}()
	for range 3 {
		l.Sync()
	}
	close(stop)
	<-flooded
}

func TestLinkEndsAWorkerThatDoesNotRead(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	r.refuse = "x"
	_, ran := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	sent := 0
	go theirs.OnWritable(t.Context(), func() poll.Next { // each is answered by REFUSED
		for {
			if _, err := theirs.TrySend(appendBind(nil, 0, "x"), nil); err != nil {
				return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
			}
			sent++
		}
	})
	if err := <-ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "the worker does not read") {
		t.Errorf("ended with %v", err)
	}
}

func TestLinkDrain(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, ran := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	p.hear() // WELCOME
	client, socket := connect(t)
	l.Drain(2*time.Second, false)
	if err := l.Hand(Connection{FD: socket, Session: true}); err != nil { // a session that it has
		t.Fatal(err)
	}
	l.Drain(1500*time.Millisecond, true)
	for _, want := range []string{"\x00\x00\x07\xd0", "\x00\x00\x00\x00\x00\x00\x00\x01", "\x00\x00\x05\xdc"} {
		f := p.hear()
		if string(f.body) != want {
			t.Errorf("%s %q, want %q", f.kind, f.body, want)
		}
		if f.fd >= 0 {
			fdpass.Close(f.fd)
		}
	}
	if _, err := p.s.receive(); err != io.EOF {
		t.Errorf("after the last frame: %v, want end of file", err)
	}
	if err := l.Hand(Connection{FD: socket}); err != ErrEnded {
		t.Errorf("Hand after Drain: %v", err)
	}
	// The other direction goes on until the worker ends.
	p.say(appendNumber(nil, Taken, 1))
	p.say(appendBind(nil, 0, "late"))
	r.await("bind late")
	theirs.Close()
	if err := <-ran; err != nil {
		t.Errorf("ended with %v", err)
	}
	client.SetReadDeadline(time.Now().Add(deadline))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %v: somebody still holds its connection", err)
	}
}

// A worker may end when half of what waits for it has left.
func TestLinkCloseWithAHalfSentOutbox(t *testing.T) {
	for i := range 40 {
		before := openDescriptors(t)
		ours, theirs := pairOf(t)
		r := newRecorder(t)
		l, ran := runLink(t, ours, r)
		newScript(t, theirs).say(greeting)
		r.await("ready")
		client, socket := connect(t)
		const window = 64
		for range window { // each with a request that was handed back
			if err := l.Hand(Connection{FD: dup(t, socket), Replay: make([]byte, 16<<10)}); err != nil {
				t.Fatal(err)
			}
			l.Flush()
		}
		for range i { // the worker reads for a while
			_, fds, _ := theirs.TryReceive(make([]byte, 32<<10), nil)
			fdpass.CloseAll(fds)
		}
		orphans := l.Close()
		if len(orphans) != window {
			t.Errorf("%d connections come back, want %d", len(orphans), window)
		}
		for _, c := range orphans {
			fdpass.Close(c.FD)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
		theirs.Close()
		fdpass.Close(socket)
		client.Close()
		if after := openDescriptors(t); after != before {
			t.Errorf("%d descriptors were open before, %d are now", before, after)
		}
	}
}

func TestLinkSaysSinceWhenNothingIsTaken(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	r.await("ready")
	if _, ok := l.UntakenSince(); ok {
		t.Error("nothing waits")
	}
	_, socket := connect(t)
	for range 3 {
		l.Hand(Connection{FD: dup(t, socket)})
	}
	if _, ok := l.UntakenSince(); ok {
		t.Error("what was not sent off waits for us, and not for the worker")
	}
	l.Flush()
	fdpass.Close(socket)
	first, ok := l.UntakenSince()
	if !ok {
		t.Error("three wait")
	}
	p.say(appendNumber(nil, Taken, 1))
	r.await("taken 1")
	if since, ok := l.UntakenSince(); !ok || !since.After(first) {
		t.Errorf("%v, %v: it has just taken one", since, ok)
	}
	p.say(appendNumber(nil, Taken, 3))
	r.await("taken 2")
	if _, ok := l.UntakenSince(); ok {
		t.Error("all were taken")
	}
}
