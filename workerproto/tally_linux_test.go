package workerproto

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// loopedPair is pairOf with a loop at our end.
func loopedPair(t *testing.T) (ours, theirs *fdpass.Conn) {
	t.Helper()
	loop, err := poll.NewLoop()
	if err != nil {
		t.Fatal(err)
	}
	go loop.Run()
	t.Cleanup(loop.Close)
	return pairOn(t, loop)
}

// A counter is a scripted worker with a tally, whose link has handed it
// connections 1 to n.
type counter struct {
	*script
	r     *recorder
	link  *Link
	ran   <-chan error
	tally *tally
}

func newCounter(t *testing.T, n int) *counter {
	t.Helper()
	ours, theirs := loopedPair(t)
	c := &counter{r: newRecorder(t), script: newScript(t, theirs)}
	c.link, c.ran = runLink(t, ours, c.r)
	c.say(append(hello{min: 1, max: 1, page: true}.append(nil), appendHeader(nil, Ready, 0, 0)...))
	welcome := c.hear()
	page, err := fdpass.MapPage(welcome.fd)
	if err != nil {
		t.Fatal(err)
	}
	fdpass.Close(welcome.fd)
	t.Cleanup(page.Unmap)
	c.tally = newTally(page)
	c.r.await("ready")
	c.hand(n)
	for range n {
		fdpass.Close(c.hear().fd)
	}
	return c
}

func (c *counter) hand(n int) {
	_, fd := connect(c.t)
	for range n {
		if err := c.link.Hand(Connection{FD: dup(c.t.(*testing.T), fd)}); err != nil {
			c.t.Fatal(err)
		}
		c.link.Flush()
	}
	fdpass.Close(fd)
}

func TestTallyIsLookedAt(t *testing.T) {
	c := newCounter(t, 5)
	before := openDescriptors(t)
	c.tally.take(3)
	c.r.await("taken 3")
	if n := openDescriptors(t); n != before-3 {
		t.Errorf("%d descriptors less", before-n)
	}
	c.tally.closed.Store(2)
	c.tally.take(5)
	c.r.await("settled 2")
	c.r.await("taken 2")
	// Frames may be mixed in.
	c.hand(1)
	fdpass.Close(c.hear().fd)
	c.say(appendNumber(nil, Taken, 6))
	c.r.await("taken 1")
	if _, waits := c.link.UntakenSince(); waits {
		t.Error("connections wait that were taken")
	}
}

func TestTallyThatMakesNoSense(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *tally)
		want string
	}{
		{"more taken than sent", func(t *tally) { t.taken.Store(6) }, "TAKEN of connection 6, the last one sent is 5"},
		{"more closed than open", func(t *tally) { t.closed.Store(6) }, "CLOSED of 6 connections, but only 5 were open"},
		{"far more closed", func(t *tally) { t.closed.Store(1<<64 - 1) }, "CLOSED of 2147483647 connections"},
		{"fewer closed than before", func(t *tally) { t.closed.Store(1) }, "went from 2 back to 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCounter(t, 5)
			if strings.HasPrefix(tt.name, "fewer") {
				c.tally.closed.Store(2)
				c.r.await("settled 2")
			}
			tt.do(c.tally)
			if err := <-c.ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
}

// What a worker took until it died is known, and the rest comes back.
func TestTallyOutlivesItsWorker(t *testing.T) {
	for _, ended := range []bool{false, true} {
		c := newCounter(t, 5)
		c.tally.take(2)
		if ended {
			c.conn.Close()
			<-c.ran
		}
		c.tally.take(3)
		orphans := c.link.Close()
		if len(orphans) != 2 {
			t.Errorf("%d connections come back of 5, of which 3 were taken", len(orphans))
		}
		for _, o := range orphans {
			fdpass.Close(o.FD)
		}
	}
}

// Where others wait for room the worker is asked to say in a frame that there
// is some: nobody looks at the tally then.
func TestTallyAsksForRoom(t *testing.T) {
	c := newCounter(t, testTerms.Window-1)
	if c.tally.ask.Load() != 0 {
		t.Error("asks though there is room")
	}
	c.hand(1)
	fdpass.Close(c.hear().fd)
	if c.tally.ask.Load() != 1 {
		t.Error("does not ask for room")
	}
	if !c.tally.take(4) || c.tally.take(5) {
		t.Error("the worker has to say so once")
	}
	c.r.await("taken") // in whatever pieces
}

// A loop that is at rest is told of a connection that others hand over: nothing
// but the tally says that it was taken.
func TestTallyIsLookedAtAfterRest(t *testing.T) {
	c := newCounter(t, 1)
	c.tally.take(1)
	c.r.await("taken 1")
	for id := uint64(2); id < 6; id++ {
		time.Sleep(60 * time.Millisecond) // more than the loop's patience
		c.hand(1)
		fdpass.Close(c.hear().fd)
		c.tally.take(id)
		late := time.Now().Add(3 * time.Second)
		for c.link.waiting.Load() != 0 {
			if time.Now().After(late) {
				t.Fatalf("connection %d was taken, and nobody looked", id)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// What waited for a worker that did not read leaves no room behind.
func TestOutboxShrinks(t *testing.T) {
	ours, theirs := pairOf(t)
	o := outbox{conn: ours}
	for range 50_000 {
		o.pushBulk(appendCount(nil, Drain, 1))
	}
	b := make([]byte, 64<<10)
	for {
		err := o.flush()
		if err == nil {
			break
		}
		if !errors.Is(err, fdpass.ErrWouldBlock) {
			t.Fatal(err)
		}
		theirs.TryReceive(b, nil)
	}
	if o.size != 0 || o.bulk != 0 || cap(o.queue) > keptQueue {
		t.Errorf("%d bytes (%d) and room for %d frames are left", o.size, o.bulk, cap(o.queue))
	}
}

// A connection may be given back as soon as it was taken.
func TestTallyBeforeReturn(t *testing.T) {
	const count = 20
	c := newCounter(t, count)
	_, fd := connect(t)
	defer fdpass.Close(fd)
	for id := range uint64(count) {
		b := appendConn(nil, Return, 0, id+1, nil)
		setDescriptors(b, 1)
		c.tally.take(id + 1)
		c.say(b, fd)
	}
	c.conn.Close()
	if err := <-c.ran; err != nil {
		t.Error(err)
	}
	if n := strings.Count(c.r.all(), "returned"); n != count {
		t.Errorf("%d of %d were given back", n, count)
	}
}

// A worker of ours says all on the tally, and in frames only what it is asked
// for, or what must not be overtaken.
func TestWorkerCountsOnTheTally(t *testing.T) {
	ours, theirs := pairOf(t)
	p := &supervisor{script: newScript(t, ours), lost: 1 << 32}
	page, fd, err := fdpass.NewPage()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Unmap)
	welcome := withDescriptor(testTerms.append(nil, Version))
	setDescriptors(welcome, 1)
	p.say(welcome, fd)
	fdpass.Close(fd)
	w, err := attach(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Shutdown(); <-w.ended })
	if f := p.hear(); string(f.body) != "min=1\nmax=1\nlibrary=go\npage=1\n" {
		t.Fatalf("the worker says %q", f.body)
	}
	tally := newTally(page)
	first := func(id uint64) {
		client := p.hand(id, 0, "")
		c := accept(t, w)
		client.Write([]byte("x"))
		io.ReadFull(c, make([]byte, 1))
		if got := tally.taken.Load(); got != id {
			t.Fatalf("%d was read and the tally says %d", id, got)
		}
		c.Close()
		if got := tally.closed.Load(); got != id {
			t.Fatalf("%d were closed and the tally says %d", id, got)
		}
	}
	for id := range uint64(10) {
		first(id + 1)
	}
	p.want(Ready)
	tally.ask.Store(1)
	first(11)
	if p.wantNumber(Taken, 11); tally.ask.Load() != 0 {
		t.Error("still asks")
	}
	b := appendConn(nil, Conn, 0, 12, nil) // without its descriptor
	setDescriptors(b, 1)
	p.say(b)
	p.wantNumber(Decline, 12)
	client := p.hand(13, 0, "")
	c := accept(t, w)
	client.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	if p.wantNumber(Taken, 13); tally.taken.Load() != 11 {
		t.Error("the tally was used after DECLINE: ", tally.taken.Load())
	}
}

func TestPagesAreSealed(t *testing.T) {
	page, fd, err := fdpass.NewPage()
	if err != nil {
		t.Fatal(err)
	}
	defer page.Unmap()
	defer fdpass.Close(fd)
	if err := unix.Ftruncate(fd, 0); err == nil {
		t.Error("a page can be made smaller")
	}
	other, err := fdpass.MapPage(fd)
	if err != nil {
		t.Fatal(err)
	}
	newTally(page).taken.Store(1 << 40)
	if got := newTally(other).taken.Load(); got != 1<<40 {
		t.Error("the other side sees ", got)
	}
	other.Unmap()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Truncate(fdpass.PageSize)
	loose, err := unix.MemfdCreate("loose", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(loose)
	unix.Ftruncate(loose, fdpass.PageSize)
	for _, fd := range []int{int(file.Fd()), loose, -1} {
		if _, err := fdpass.MapPage(fd); err == nil {
			t.Errorf("descriptor %d passes for a page", fd)
		}
	}
}

// A worker's HELLO may come while the link is being closed: no page is left
// behind, nor anybody who looks at one.
func TestTallyIsNotOpenedAfterClose(t *testing.T) {
	loop, err := poll.NewLoop()
	if err != nil {
		t.Fatal(err)
	}
	go loop.Run()
	t.Cleanup(loop.Close)
	hello := hello{min: 1, max: 1, page: true}.append(nil)
	before := openDescriptors(t)
	for i := range 2000 {
		ours, child, err := fdpass.Pair(loop)
		if err != nil {
			t.Fatal(err)
		}
		l := NewLink(ours, testTerms, newRecorder(t), NewHub())
		ran := make(chan error, 1)
		go func() { ran <- l.Run() }()
		said := make(chan bool)
		go func() {
			for start := time.Now(); time.Since(start) < time.Duration(i%100)*100*time.Nanosecond; {
			}
			child.Write(hello)
			close(said)
		}()
		l.Close()
		<-said
		<-ran
		child.Close()
		if after := openDescriptors(t); after != before {
			t.Fatalf("%d descriptors were open before, %d are after %d links", before, after, i+1)
		}
	}
}
