package workerproto

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// A house is stickyd as a test has it: some links of a hub, which it can freeze
// and thaw under their workers.
type house struct {
	t     testing.TB
	loop  *poll.Loop // nil: the runtime's poller
	rooms []*room
}

// A room is a link, the one that it is by now.
type room struct {
	handler Handler
	mu      sync.RWMutex // held while the link becomes another
	link    *Link
	ran     chan error
}

func (h *house) add(conn *fdpass.Conn, hub *Hub, handler Handler) *room {
	terms := testTerms
	terms.Incarnation += uint32(len(h.rooms))
	r := &room{handler: handler, link: NewLink(conn, terms, handler, hub), ran: make(chan error, 1)}
	h.rooms = append(h.rooms, r)
	r.run()
	return r
}

// run runs the link; a test that waits for more than the link's end should not
// wait for ever.
func (r *room) run() {
	link := r.link
	go func() {
		err := link.Run()
		if err != nil && err != ErrFrozen {
			panic(err)
		}
		r.ran <- err
	}()
}

// freezeAndThaw stops all links, and makes new ones of what JSON keeps of them.
func (h *house) freezeAndThaw() {
	for _, r := range h.rooms {
		r.link.Freeze() // what is handed over meanwhile is kept
		if err := <-r.ran; err != ErrFrozen {
			h.t.Errorf("Run returned %v", err)
		}
	}
	hub := NewHub()
	for _, r := range h.rooms {
		r.mu.Lock()
		state := r.link.State()
		noneTwice(h.t, state.FDs())
		text, err := json.Marshal(state)
		if err != nil {
			h.t.Fatal(err)
		}
		state = &LinkState{}
		if err := json.Unmarshal(text, state); err != nil {
			h.t.Fatal(err)
		}
		if len(r.link.Close()) > 0 {
			h.t.Error("connections of a frozen link come twice")
		}
		if r.link, err = Thaw(state, h.loop, r.handler, hub); err != nil {
			h.t.Fatal(err)
		}
		r.mu.Unlock()
	}
	for _, r := range h.rooms {
		r.run()
	}
}

func noneTwice(t testing.TB, fds []int) {
	t.Helper()
	seen := make(map[int]bool)
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || seen[fd] {
			t.Errorf("the state has descriptor %d (%v), of %v", fd, err, fds)
		}
		seen[fd] = true
	}
}

// close ends all conversations.
func (h *house) close() {
	for _, r := range h.rooms {
		for _, c := range r.link.Close() {
			fdpass.Close(c.FD)
		}
		if err := <-r.ran; err != nil {
			h.t.Errorf("Run returned %v in the end", err)
		}
	}
}

// A listener is a Handler that writes down what must come once and in order.
type listener struct {
	t                     testing.TB
	binds, returns        uint32 // how many came
	ready, taken, settled atomic.Int64
	moved                 [2]chan struct{} // something was taken, for two who wait
}

func newListener(t testing.TB) *listener {
	return &listener{t: t, moved: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *listener) Ready()              { l.ready.Add(1) }
func (l *listener) Unbind([]byte)       {}
func (l *listener) Settled(n int)       { l.settled.Add(int64(n)) }
func (l *listener) Leaving()            {}
func (l *listener) Unreachable()        {}
func (l *listener) Reachable()          {}
func (l *listener) Declined(Connection) { l.t.Error("a connection was declined") }

func (l *listener) Taken(n int) {
	l.taken.Add(int64(n))
	wake(l.moved[0])
	wake(l.moved[1])
}

func (l *listener) Bind(id []byte) bool {
	if want := fmt.Sprint("s", l.binds); string(id) != want {
		l.t.Errorf("bound %s, want %s", id, want)
	}
	l.binds++
	return l.binds%7 > 0 // the worker is told of some
}

func (l *listener) Returned(c Connection) {
	fdpass.Close(c.FD)
	if want := l.returns * returnEach; len(c.Replay) < 4 || binary.BigEndian.Uint32(c.Replay) != want {
		l.t.Errorf("another connection than %d was returned, or none of its bytes", want)
	}
	l.returns++
}

// Of the connections, each third is returned and each other is bound.
const returnEach = 3

// A worker that talks all the time notices nothing when its link is frozen and
// thawed, again and again.
func TestFreezeUnderTraffic(t *testing.T) {
	for _, looped := range []bool{true, false} {
		t.Run(map[bool]string{true: "with a tally", false: "in frames"}[looped], func(t *testing.T) {
			fds, goroutines := openDescriptors(t), runtime.NumGoroutine()
			freezeUnderTraffic(t, looped)
			eventually(t, func() bool { return openDescriptors(t) == fds && runtime.NumGoroutine() <= goroutines })
		})
	}
}

func freezeUnderTraffic(t *testing.T, looped bool) {
	h := &house{t: t}
	if looped {
		loop, err := poll.NewLoop()
		if err != nil {
			t.Fatal(err)
		}
		go loop.Run()
		defer loop.Close()
		h.loop = loop
	}
	hub := NewHub()
	talker, hearer := newListener(t), newListener(t)
	at, w := newRoom(t, h, hub, talker)
	ear, other := newRoom(t, h, hub, hearer)
	heard, more := hearMessages(t, other)
	ear.link.Sync() // it has subscribed

	var freezes sync.WaitGroup
	stop := make(chan struct{})
	freezes.Go(func() {
		for range 150 {
			<-talker.moved[0]
			h.freezeAndThaw()
		}
		close(stop)
	})
	var traffic sync.WaitGroup
	var handed uint32
	traffic.Go(func() { handed = handUntil(t, stop, at, talker) })
	var published uint32
	traffic.Go(func() { published = publishUntil(t, stop, w, heard, more) })
	go serveInOrder(t, w)
	freezes.Wait()
	traffic.Wait()

	t.Logf("%d connections, %d messages", handed, published)
	n := int64(handed)
	eventually(t, func() bool { return talker.taken.Load() == n && talker.settled.Load() == n })
	eventually(t, func() bool { return heard.Load() == published })
	if talker.ready.Load() != 1 {
		t.Errorf("ready %d times", talker.ready.Load())
	}
	if h.close(); talker.returns != (handed+returnEach-1)/returnEach || talker.binds != handed-talker.returns {
		t.Errorf("of %d connections %d were returned and %d bound", handed, talker.returns, talker.binds)
	}
	if left := at.link.ledger.open.Load(); left != 0 {
		t.Errorf("%d connections count as load in the end", left)
	}
	for _, w := range []*Worker{w, other} {
		<-w.Finishing()
		w.conn.Close()
		if w.tally != nil {
			w.tally.page.Unmap()
		}
	}
}

// newRoom returns a link and its worker.
func newRoom(t *testing.T, h *house, hub *Hub, handler Handler) (*room, *Worker) {
	t.Helper()
	ours, child, err := fdpass.Pair(h.loop)
	if err != nil {
		t.Fatal(err)
	}
	fd := dup(t, int(child.Fd()))
	child.Close()
	theirs, err := fdpass.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	r := h.add(ours, hub, handler)
	w, err := attach(theirs)
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// handUntil hands over connections that bring their number, as fast as the
// window allows, and returns how many. Some bring so much with them that the
// socket is full.
func handUntil(t *testing.T, stop <-chan struct{}, r *room, l *listener) (n uint32) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		if int64(n)-l.taken.Load() >= int64(testTerms.Window) {
			<-l.moved[1]
			continue
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return n
		}
		fdpass.Close(pair[1])
		replay := binary.BigEndian.AppendUint32(nil, n)
		if n%40 < 5 {
			replay = append(replay, strings.Repeat("x", MaxReplay-4)...)
		}
		r.mu.RLock()
		if err := r.link.Hand(Connection{FD: pair[0], Replay: replay}); err != nil {
			t.Error("Hand:", err)
		}
		r.link.Flush()
		r.mu.RUnlock()
		n++
	}
}

// serveInOrder does something with each connection.
func serveInOrder(t *testing.T, w *Worker) {
	for want := uint32(0); ; want++ {
		c, err := w.Accept()
		if err != nil {
			if !errors.Is(err, ErrEnded) {
				t.Error(err)
			}
			return
		}
		number := make([]byte, 4)
		if _, err := io.ReadFull(c, number); err != nil || binary.BigEndian.Uint32(number) != want {
			t.Errorf("connection %x came (%v), want %d", number, err, want)
		}
		if want%returnEach == 0 {
			if err := c.(*workerConn).giveBack(number); err != nil {
				t.Error(err)
			}
			continue
		}
		ctx := context.Background()
		if want%2 == 0 {
			ctx = context.WithValue(ctx, connKey{}, c) // it is adopted, and counts off so
		}
		w.Bind(ctx, fmt.Sprint("s", want-want/returnEach-1))
		c.Close()
	}
}

// publishUntil publishes messages of all sizes that bring their number, and
// returns how many.
func publishUntil(t *testing.T, stop <-chan struct{}, w *Worker, heard *atomic.Uint32, more <-chan struct{}) (n uint32) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		if n-heard.Load() > 4 {
			<-more // connections are to come through, too
			continue
		}
		message := append(binary.BigEndian.AppendUint32(nil, n), make([]byte, n%11*publishPiece/3)...)
		if err := w.Publish("news", message); err != nil {
			t.Error(err)
		}
		n++
	}
}

// hearMessages counts the messages that come, and checks that each is the next.
func hearMessages(t *testing.T, w *Worker) (n *atomic.Uint32, more chan struct{}) {
	n, more = new(atomic.Uint32), make(chan struct{}, 1)
	w.Subscribe("news", func(message []byte) {
		want := n.Load()
		if number := binary.BigEndian.Uint32(message); number != want || len(message) != int(4+want%11*publishPiece/3) {
			t.Errorf("message %d of %d bytes was heard, want %d", number, len(message), want)
		}
		n.Add(1)
		wake(more)
	})
	return n, more
}

// thaw makes a link again of what JSON keeps of one, and runs it.
func thaw(t *testing.T, l *Link, loop *poll.Loop, h Handler) (*LinkState, *Link, <-chan error) {
	t.Helper()
	l.Freeze()
	text, err := json.Marshal(l.State())
	if err != nil {
		t.Fatal(err)
	}
	state := &LinkState{}
	if err := json.Unmarshal(text, state); err != nil {
		t.Fatal(err)
	}
	again, err := Thaw(state, loop, h, NewHub())
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { ran <- again.Run() })
	t.Cleanup(func() {
		for _, c := range again.Close() {
			fdpass.Close(c.FD)
		}
		running.Wait()
	})
	return state, again, ran
}

// A link that is frozen in the middle of a message with descriptors gives each
// frame its own when it goes on.
func TestFreezeInTheMiddleOfAMessage(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, ran := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	r.await("ready")
	for range 3 {
		_, fd := connect(t)
		if err := l.Hand(Connection{FD: fd}); err != nil {
			t.Fatal(err)
		}
	}
	l.Flush()
	p.say(appendNumber(nil, Taken, 3))
	r.await("taken 3")
	var message []byte
	for id := range uint64(3) {
		message = appendConn(message, Return, 0, id+1, fmt.Append(nil, "GET /", id))
	}
	setDescriptors(message, 3)
	first := len(message)/3 + 5
	var fds []int
	for range 3 {
		_, fd := connect(t)
		fds = append(fds, fd)
	}
	p.say(message[:first], fds...)
	r.await(`returned "GET /0"`)
	state, _, ranAgain := thaw(t, l, nil, r)
	if err := <-ran; err != ErrFrozen {
		t.Errorf("Run returned %v", err)
	}
	if len(state.Stream.Buffered) != 5 || len(state.Stream.Group) != 2 {
		t.Errorf("the state has %d bytes and %d descriptors that came", len(state.Stream.Buffered), len(state.Stream.Group))
	}
	p.say(message[first:])
	r.await(`returned "GET /2"`)
	for i, c := range r.returned {
		if a, b := inode(t, c.FD), inode(t, fds[i]); a != b {
			t.Errorf("connection %d came back with another one's descriptor", i)
		}
	}
	// What it has returned before it can't return again.
	again := appendConn(nil, Return, 0, 1, nil)
	setDescriptors(again, 1)
	p.say(again, fds[0])
	if err := <-ranAgain; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "returned before") {
		t.Errorf("a connection was returned twice: %v", err)
	}
	fdpass.CloseAll(fds)
}

func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// What waits for a worker that does not read waits on, the rest of a frame whose
// beginning it has among it, and so does what is handed over meanwhile.
func TestFreezeInTheMiddleOfAFrame(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	r.await("ready")
	hand := func(id int) {
		_, fd := connect(t)
		if err := l.Hand(Connection{FD: fd, Replay: append(fmt.Append(nil, id, " "), strings.Repeat("x", 60_000)...)}); err != nil {
			t.Fatal(err)
		}
		l.Flush()
	}
	for id := 1; id <= 10; id++ {
		hand(id)
	}
	l.Freeze()
	hand(11)
	l.Drain(0, true)
	hub := NewHub()
	state := l.State()
	if len(state.Outbox.Rest) == 0 || len(state.Outbox.Queue) < 2 || len(state.Untaken) != 11 {
		t.Errorf("%d bytes of a frame and %d frames wait, %d connections are untaken", len(state.Outbox.Rest), len(state.Outbox.Queue), len(state.Untaken))
	}
	again, err := Thaw(state, nil, r, hub)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- again.Run() }()
	p.hear() // WELCOME
	for want := uint64(1); want <= 11; want++ {
		f := p.hear()
		id, replay, err := parseConn(Conn, f.body)
		if err != nil || f.fd < 0 || id != want || !strings.HasPrefix(string(replay), fmt.Sprint(want, " x")) || len(replay) < 60_000 {
			t.Errorf("connection %d came, descriptor %d, %d bytes (%v)", id, f.fd, len(replay), err)
		}
		fdpass.Close(f.fd)
	}
	if f := p.hear(); f.kind != Drain {
		t.Errorf("%s came last", f.kind)
	}
	if err := again.Hand(Connection{}); err != ErrEnded {
		t.Errorf("Hand after the last DRAIN: %v", err)
	}
	p.say(appendNumber(nil, Taken, 11))
	r.await("taken 11")
	theirs.Shutdown()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	again.Close()
}

// A conversation that is over stays so, with what the worker never took.
func TestFreezeAfterTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p *script)
		err  string
	}{
		{"end of file", func(p *script) { p.conn.Shutdown() }, ""},
		{"protocol error", func(p *script) { p.say(greeting) }, "protocol error: a second HELLO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := openDescriptors(t)
			ours, theirs := loopedPair(t)
			r := newRecorder(t)
			l, ran := runLink(t, ours, r)
			p := newScript(t, theirs)
			p.say(append(hello{min: 1, max: 1, page: true}.append(nil), appendHeader(nil, Ready, 0, 0)...))
			r.await("ready")
			client, fd := connect(t)
			client.Close()
			if err := l.Hand(Connection{FD: fd}); err != nil {
				t.Fatal(err)
			}
			tt.end(p)
			for range 2 {
				if err := <-ran; (err != nil || tt.err != "") && fmt.Sprint(err) != tt.err || tt.err != "" && !errors.Is(err, ErrProtocol) {
					t.Errorf("Run returned %v", err)
				}
				var state *LinkState
				if state, l, ran = thaw(t, l, nil, r); len(state.FDs()) != 1 || state.FDs()[0] != fd {
					t.Errorf("the state has %v, want the connection %d", state.FDs(), fd)
				}
			}
			if err := l.Hand(Connection{}); err != ErrEnded {
				t.Error("Hand:", err)
			}
			l.Flush()
			l.Drain(0, false)
			orphans := l.Close()
			if len(orphans) != 1 || orphans[0].FD != fd {
				t.Fatalf("%v were never taken", orphans)
			}
			fdpass.Close(fd)
			theirs.Close()
			if now := openDescriptors(t); now > before+3 { // the loop's
				t.Errorf("%d descriptors are open, before it were %d", now, before)
			}
		})
	}
}

// Who has not asked for the state of a conversation that was over may close it,
// and gets what the worker never took.
func TestCloseAfterTheEndAndFreeze(t *testing.T) {
	c := newCounter(t, 2)
	_, fd := connect(t)
	if err := c.link.Hand(Connection{FD: fd}); err != nil {
		t.Fatal(err)
	}
	c.tally.take(1)
	c.conn.Shutdown()
	if err := <-c.ran; err != nil {
		t.Error("Run returned", err)
	}
	c.link.Freeze()
	orphans := c.link.Close()
	if len(orphans) != 2 || orphans[1].FD != fd {
		t.Errorf("%v were never taken, want the second and the third", orphans)
	}
	for _, o := range orphans {
		fdpass.Close(o.FD)
	}
	if fds := c.link.State().FDs(); len(fds) > 0 {
		t.Errorf("the state has %v as well", fds)
	}
}

// A tally is looked at by a program without a loop, too.
func TestThawTallyWithoutLoop(t *testing.T) {
	c := newCounter(t, 5)
	c.tally.take(1)
	c.r.await("taken 1")
	c.link.Freeze()
	c.tally.take(3)
	c.link.UntakenSince() // looks at the tally of a link that is not frozen
	if told := c.r.all(); strings.Contains(told, "taken 2") {
		t.Errorf("told of what was taken after Freeze:\n%s", told)
	}
	_, l, _ := thaw(t, c.link, nil, c.r)
	c.r.await("taken 2")
	c.tally.take(5)
	c.r.await("taken 2\ntaken 2")
	c.tally.closed.Store(5)
	l.Close()
	c.r.await("settled 5") // at the latest then
}

// What is no state's any more is reported, and the state stays whole.
func TestThawFails(t *testing.T) {
	ours, _ := pairOf(t)
	l, _ := runLink(t, ours, newRecorder(t))
	l.Freeze()
	state := l.State()
	defer fdpass.CloseAll(state.FDs())
	bad := *state
	bad.Page = state.Socket
	if _, err := Thaw(&bad, nil, nil, NewHub()); err == nil {
		t.Error("a socket was mapped")
	}
	if !fdpass.IsStreamSocket(state.Socket) {
		t.Error("the socket was closed")
	}
	bad = *state
	bad.Socket = 1 << 20
	if _, err := Thaw(&bad, nil, nil, NewHub()); err == nil {
		t.Error("there is no such socket")
	}
	bad = *state
	bad.Stage = ready + 1
	if _, err := Thaw(&bad, nil, nil, NewHub()); err == nil {
		t.Error("there is no such stage")
	}
}

// Of a message that had begun before, the others hear that nothing more comes.
func TestFreezeInTheMiddleOfAPublication(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	p.say(appendPublish(nil, FlagMore, "news", []byte("half")))
	p.say(appendIDFrame(nil, Subscribe, "other"))
	r.await("ready")
	l.Sync()
	for range 2 {
		var state *LinkState
		state, l, _ = thaw(t, l, nil, r)
		if fmt.Sprint(state.Unfinished, state.Topics, state.TopicsN) != "[news] [other] 1" {
			t.Errorf("begun are %q, subscribed is to %q (%d)", state.Unfinished, state.Topics, state.TopicsN)
		}
	}
}

// A worker for which too much is published while it is frozen is ended when it
// is thawed, as any other: what it said before counts, and others hear of its end.
func TestTooSlowWhileFrozen(t *testing.T) {
	ours, theirs := pairOf(t)
	r := newRecorder(t)
	l, _ := runLink(t, ours, r)
	p := newScript(t, theirs)
	p.say(greeting)
	p.say(appendPublish(nil, FlagMore, "news", []byte("half")))
	p.hear() // WELCOME
	_, fd := connect(t)
	if err := l.Hand(Connection{FD: fd}); err != nil {
		t.Fatal(err)
	}
	l.Flush()
	fdpass.Close(p.hear().fd)
	l.Sync()
	l.Freeze()
	p.say(appendNumber(nil, Taken, 1))
	l.deliver(make([]byte, maxPublished+1))
	state := l.State()

	hub := NewHub()
	ours, theirs = pairOf(t)
	other, _ := runLinkIn(t, hub, 8, ours, newRecorder(t))
	q := newScript(t, theirs)
	q.say(greeting)
	q.say(appendIDFrame(nil, Subscribe, "news"))
	q.hear() // WELCOME
	other.Sync()
	l, err := Thaw(state, nil, r, hub)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
		t.Errorf("Run returned %v", err)
	}
	for _, c := range l.Close() {
		t.Error("what it took is given back as well")
		fdpass.Close(c.FD)
	}
	r.await("taken 1")
	if f := q.hear(); f.kind != Deliver || f.flags&FlagAborted == 0 {
		t.Errorf("the other worker heard %v with flags %#x", f.kind, f.flags)
	}
}

// What others have published and a worker has not read is taken along as far as
// it is little; else the worker is ended, and what it had not taken is left.
func TestStateOfAWorkerThatDoesNotRead(t *testing.T) {
	for _, tt := range []struct {
		name      string
		published int
		slow      bool
	}{
		{"for a moment", maxFrozen, false},
		{"for long", maxFrozen + 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := pairOf(t)
			r := newRecorder(t)
			l, _ := runLink(t, ours, r)
			p := newScript(t, theirs)
			p.say(greeting)
			p.hear() // WELCOME
			l.Freeze()
			_, fd := connect(t)
			if err := l.Hand(Connection{FD: fd, Replay: make([]byte, MaxReplay)}); err != nil {
				t.Fatal(err)
			}
			l.deliver(make([]byte, tt.published))
			state := l.State()
			if n := len(state.Outbox.Queue); state.Slow != tt.slow || (n == 0) != tt.slow {
				t.Errorf("the state has %d frames, and says of the worker that it is slow: %t", n, state.Slow)
			}
			l, err := Thaw(state, nil, r, NewHub())
			if err != nil {
				t.Fatal(err)
			}
			if tt.slow {
				l.Flush() // in vain
				if err := l.Run(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
					t.Errorf("Run returned %v", err)
				}
			} else {
				close(l.ran) // it never runs
			}
			if left := l.Close(); len(left) != 1 || left[0].FD != fd {
				t.Errorf("left are %+v", left)
			}
			fdpass.Close(fd)
		})
	}
}

// All that a state says is in the link that is made of it.
func TestThawIsWhole(t *testing.T) {
	ours, _ := pairOf(t)
	socket, err := ours.Detach()
	if err != nil {
		t.Fatal(err)
	}
	page, fd, err := fdpass.NewPage()
	if err != nil {
		t.Fatal(err)
	}
	page.Unmap()
	age := Age(time.Hour)
	state := &LinkState{
		Terms: testTerms, Socket: socket, Page: fd, TakenSeen: 3, ClosedSeen: 2, Stage: ready,
		Stream: streamState{
			Buffered: []byte("half"), Offset: 70, Batches: []batchState{{From: 71, To: 72, FDs: []int{1001}}},
			Group: []int{1002}, Missing: 1,
		},
		Outbox:  outboxState{Rest: []byte("rest"), Queue: []outgoingState{{[]byte("conn"), 1003, true}, {[]byte("bulk"), -1, true}, {[]byte("page"), fd, false}}},
		Untaken: []untakenState{{Connection{FD: 1003, Replay: []byte("GET"), Session: true, Refusals: 2}, 9, age}},
		Took:    age, LastID: 9, NoMore: true, Load: 4, Returned: []uint64{5, 6}, ReturnedN: 2,
		Topics: []string{"a"}, TopicsN: 2, Unfinished: []string{"b"},
	}
	wholeBut(t, *state, "Error", "Slow")
	want, _ := json.Marshal(state)
	l, err := Thaw(state, nil, nil, NewHub())
	if err != nil {
		t.Fatal(err)
	}
	if l.out.size != 16 || l.out.bulk != 8 || l.out.owing != 1 || l.waiting.Load() != 1 {
		t.Errorf("%d bytes wait, %d of them bulk, and %d connections; %d are untaken", l.out.size, l.out.bulk, l.out.owing, l.waiting.Load())
	}
	close(l.ran) // it never runs
	l.Freeze()
	again := l.State()
	for _, a := range []*Age{&again.Took, &again.Untaken[0].Age} {
		*a = Age(time.Duration(*a).Truncate(time.Hour)) // less what this took
	}
	if got, _ := json.Marshal(again); string(got) != string(want) {
		t.Errorf("of the state\n%s\ncame\n%s", want, got)
	}
	fdpass.CloseAll([]int{again.Socket, again.Page})
}

// A worker is not blamed for the time in which it could not be heard.
func TestFreezeDoesNotCount(t *testing.T) {
	const waited = 3 * time.Second // before an hour in which it is frozen
	ours, theirs := pairOf(t)
	l, _ := runLink(t, ours, newRecorder(t))
	newScript(t, theirs).say(greeting)
	_, fd := connect(t)
	if err := l.Hand(Connection{FD: fd}); err != nil {
		t.Fatal(err)
	}
	l.Flush()
	l.Freeze()
	l.frozenAt = time.Now().Add(-time.Hour)
	l.untaken[0].at = l.frozenAt.Add(-waited)
	state := l.State()
	earliest := time.Now().Add(-waited)
	l, err := Thaw(state, nil, newRecorder(t), NewHub())
	if err != nil {
		t.Fatal(err)
	}
	latest := time.Now().Add(-waited)
	if since, ok := l.UntakenSince(); !ok || since.Before(earliest) || since.After(latest) {
		t.Errorf("it has taken nothing since %v, want %v to %v", since, earliest, latest)
	}
	close(l.ran) // it never runs
	l.Freeze()
	fdpass.CloseAll(l.State().FDs())
}

// wholeBut checks that all fields of a struct are set, but for some.
func wholeBut(t *testing.T, state any, but ...string) {
	t.Helper()
	v := reflect.ValueOf(state)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && !slices.Contains(but, name) {
			t.Errorf("the test says nothing of %s", name)
		}
	}
}
