package poll

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const deadline = 30 * time.Second

// runLoop returns a loop that runs until the test has ended.
func runLoop(t *testing.T) *Loop {
	t.Helper()
	l, err := NewLoop()
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	t.Cleanup(l.Close)
	return l
}

// bothWays runs a test with a loop and without.
func bothWays(t *testing.T, test func(t *testing.T, l *Loop)) {
	t.Run("loop", func(t *testing.T) { test(t, runLoop(t)) })
	t.Run("runtime", func(t *testing.T) { test(t, nil) })
}

// pair returns a descriptor that waits with l, and the other end.
func pair(t *testing.T, l *Loop, first bool) (d *FD, peer int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = NewFD(p[0], l, first); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, p[1]
}

// read receives once and says what came.
func read(d *FD) (text string, next Next) {
	fd, err := d.Acquire()
	if err != nil {
		return "", Done
	}
	defer d.Release()
	b := make([]byte, 3)
	switch n, err := unix.Read(fd, b); {
	case err == unix.EAGAIN:
		return "", Wait
	case n > 0:
		return string(b[:n]), More
	}
	return "end", Done
}

// await fails the test if nothing comes out of c.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(deadline):
		t.Fatal("waited in vain for ", what)
	}
	return v
}

func TestReadsUntilTheEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, l *Loop) {
		d, peer := pair(t, l, false)
		got := make(chan string, 100)
		ended := make(chan error, 1)
		go func() {
			ended <- d.OnReadable(func() Next {
				text, next := read(d)
				if text != "" {
					got <- text
				}
				return next
			})
		}()
		for _, text := range []string{"abc", "def-more-than-one-read", "x"} {
			unix.Write(peer, []byte(text))
			for text != "" {
				piece := await(t, got, text)
				if !strings.HasPrefix(text, piece) {
					t.Fatalf("got %q, want %q", piece, text)
				}
				text = text[len(piece):]
			}
		}
		unix.Close(peer)
		if text := await(t, got, "the end"); text != "end" {
			t.Errorf("got %q", text)
		}
		if err := await(t, ended, "OnReadable"); err != nil {
			t.Error(err)
		}
	})
}

func TestWritesWhenThereIsRoom(t *testing.T) {
	bothWays(t, func(t *testing.T, l *Loop) {
		d, peer := pair(t, l, false)
		defer unix.Close(peer)
		block := make([]byte, 64<<10)
		sent := 0
		write := func() Next {
			fd, err := d.Acquire()
			if err != nil {
				return Done
			}
			defer d.Release()
			for sent < 10<<20 {
				n, err := unix.Write(fd, block)
				if err == unix.EAGAIN {
					return Wait
				}
				sent += n
			}
			return Done
		}
		if write() != Wait {
			t.Fatal("a socket takes 10 MiB")
		}
		ended := make(chan error, 1)
		go func() { ended <- d.OnWritable(t.Context(), write) }()
		other, err := NewFD(peer, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		go other.OnReadable(func() Next {
			if n, err := unix.Read(peer, make([]byte, 64<<10)); n <= 0 {
				return Until(err != unix.EAGAIN)
			}
			return More
		})
		if err := await(t, ended, "room"); err != nil {
			t.Error(err)
		}
		other.Close()
	})
}

func TestWaitsEndByCloseAndContext(t *testing.T) {
	bothWays(t, func(t *testing.T, l *Loop) {
		for range 200 {
			d, peer := pair(t, l, false)
			for fd, err := d.Acquire(); err == nil; {
				_, err = unix.Write(fd, make([]byte, 64<<10))
			}
			d.Release()
			ctx, cancel := context.WithCancel(t.Context())
			reading, writing := make(chan error, 1), make(chan error, 1)
			go func() { reading <- d.OnReadable(func() Next { return Wait }) }()
			go func() { writing <- d.OnWritable(ctx, func() Next { return Wait }) }()
			cancel()
			if err := await(t, writing, "OnWritable"); err != context.Canceled {
				t.Fatal(err)
			}
			go func() { writing <- d.OnWritable(t.Context(), func() Next { return Wait }) }()
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range []chan error{reading, writing} {
				if err := await(t, c, "an end"); err != os.ErrClosed {
					t.Fatal(err)
				}
			}
			if _, err := d.Acquire(); err != os.ErrClosed {
				t.Fatal("acquired after Close: ", err)
			}
			if err := d.OnReadable(func() Next { return Wait }); !errors.Is(err, os.ErrClosed) {
				t.Fatal("waits after Close: ", err)
			}
			if d.Close() != os.ErrClosed {
				t.Fatal("closed twice")
			}
			unix.Close(peer)
		}
	})
}

// What is detached is waited for no more, and goes on elsewhere.
func TestDetachLeavesTheDescriptorOpen(t *testing.T) {
	bothWays(t, func(t *testing.T, l *Loop) {
		d, peer := pair(t, l, true)
		defer unix.Close(peer)
		before, _ := d.Acquire()
		d.Release()
		reads, writes := make(chan error, 1), make(chan error, 1)
		go func() { reads <- d.OnReadable(func() Next { return Wait }) }()
		go func() { writes <- d.OnWritable(t.Context(), func() Next { return Wait }) }()
		runtime.Gosched()
		fd, err := d.Detach()
		if err != nil || fd != before {
			t.Fatalf("descriptor %d, not %d: %v", fd, before, err)
		}
		for _, ended := range []chan error{reads, writes} {
			if err := await(t, ended, "the end"); err != os.ErrClosed {
				t.Error(err)
			}
		}
		if l != nil && inSet(t, l.epoll, fd) {
			t.Error("the loop still waits for it")
		}
		if err := d.Close(); err != os.ErrClosed {
			t.Error("closed after it was detached:", err)
		}
		if _, err := d.Detach(); err != os.ErrClosed {
			t.Error("detached twice:", err)
		}
		unix.Write(peer, []byte("x"))
		again, err := NewFD(fd, l, true)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		got := make(chan string, 1)
		go again.OnReadable(func() Next {
			text, next := read(again)
			if next == More {
				got <- text
			}
			return next
		})
		if text := await(t, got, "what was written"); text != "x" {
			t.Errorf("read %q", text)
		}
	})
}

// Close waits for a function that is being called.
func TestCloseWaitsForTheFunction(t *testing.T) {
	bothWays(t, func(t *testing.T, l *Loop) {
		d, peer := pair(t, l, false)
		defer unix.Close(peer)
		in, out := make(chan bool, 10), make(chan bool)
		var running atomic.Bool
		go d.OnReadable(func() Next {
			running.Store(true)
			in <- true
			<-out
			_, next := read(d)
			running.Store(false)
			return next
		})
		unix.Write(peer, []byte("x"))
		await(t, in, "the function")
		closed := make(chan bool)
		go func() {
			d.Close()
			closed <- running.Load()
		}()
		runtime.Gosched()
		close(out)
		if await(t, closed, "Close") {
			t.Error("closed while the function was running")
		}
	})
}

// inSet reports whether an epoll set has fd (proc(5), fdinfo).
func inSet(t *testing.T, ep, fd int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", ep))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), fmt.Sprintf("tfd:%9d ", fd))
}

// A descriptor for which nobody waits must not keep the loop busy, be its peer
// gone, or it writable, or closed here and open elsewhere.
func TestLoopForgetsWhatNobodyWaitsFor(t *testing.T) {
	l := runLoop(t)
	for _, tt := range []struct {
		name string
		wait func(ctx context.Context, d *FD) error
		end  func(d *FD, peer int, cancel func())
	}{
		{"done",
			func(_ context.Context, d *FD) error { return d.OnReadable(func() Next { return Done }) },
			func(_ *FD, peer int, _ func()) { unix.Shutdown(peer, unix.SHUT_RDWR) }},
		{"cancelled",
			func(ctx context.Context, d *FD) error { return d.OnWritable(ctx, func() Next { return Wait }) },
			func(_ *FD, _ int, cancel func()) { cancel() }},
		{"closed",
			func(_ context.Context, d *FD) error { return d.OnReadable(func() Next { return Wait }) },
			func(d *FD, _ int, _ func()) { d.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, peer := pair(t, l, true)
			defer unix.Close(peer)
			fd, _ := d.Acquire()
			d.Release()
			elsewhere, err := unix.Dup(fd)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(elsewhere)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- tt.wait(ctx, d) }()
			for !inSet(t, l.epoll, fd) {
				runtime.Gosched()
			}
			tt.end(d, peer, cancel)
			await(t, ended, "the end")
			for inSet(t, l.epoll, fd) { // it is told first
				runtime.Gosched()
			}
		})
	}
}

// hold returns functions that stop the loop in the midst of a turn, and let it
// go on.
func hold(t *testing.T, l *Loop) (stop, goOn func()) {
	brake, pedal := pair(t, l, false)
	t.Cleanup(func() { unix.Close(pedal) })
	held, free := make(chan bool), make(chan bool)
	go brake.OnReadable(func() Next {
		_, next := read(brake)
		if next == More {
			held <- true
			<-free
		}
		return next
	})
	return func() {
		unix.Write(pedal, []byte("x"))
		await(t, held, "the loop")
	}, func() { free <- true }
}

// What comes last does, and what is done in each turn before it.
func TestOrderOfATurn(t *testing.T) {
	l := runLoop(t)
	calls := make(chan string, 1000)
	stop := l.EachTurn(func() bool {
		calls <- "turn"
		return true
	})
	defer stop()
	write := make(map[string]func())
	for _, name := range []string{"last", "other"} {
		d, peer := pair(t, l, name == "last")
		defer unix.Close(peer)
		go d.OnReadable(func() Next {
			_, next := read(d)
			if next == More {
				calls <- name
			}
			return next
		})
		write[name] = func() { unix.Write(peer, []byte("x")) }
		fd, _ := d.Acquire()
		d.Release()
		for !inSet(t, l.epoll, fd) {
			runtime.Gosched()
		}
	}
	halt, goOn := hold(t, l)
	for range 100 {
		halt()
		for len(calls) > 0 {
			<-calls
		}
		write["last"]()
		write["other"]()
		goOn()
		var got []string
		for !slices.Contains(got, "last") {
			got = append(got, await(t, calls, "calls"))
		}
		if i := slices.Index(got, "other"); i < 0 || got[len(got)-2] != "turn" || i > len(got)-3 {
			t.Fatal(got)
		}
	}
}

// Turns go on without anything that is ready while somebody is not at rest,
// and only then.
func TestTurnsUntilAllAreAtRest(t *testing.T) {
	l := runLoop(t)
	left := 10
	rest := make(chan bool)
	stop := l.EachTurn(func() bool {
		if left--; left == 0 {
			close(rest)
		}
		return left <= 0
	})
	await(t, rest, "ten turns")
	stop()
	// Now nobody is there, and one who joins is asked at once.
	for range 50 {
		asked := make(chan bool, 100)
		stop := l.EachTurn(func() bool {
			asked <- true
			return true
		})
		await(t, asked, "a turn")
		stop()
		for len(asked) > 0 {
			<-asked
		}
		l.rouse()
		runtime.Gosched()
		if len(asked) > 0 {
			t.Fatal("called after stop")
		}
	}
}

// Who has something to do after rest says so; a word that comes while the loop
// goes to rest is not lost.
func TestStirEndsRest(t *testing.T) {
	l := runLoop(t)
	var busy atomic.Bool
	done := make(chan bool)
	stop := l.EachTurn(func() bool {
		if busy.CompareAndSwap(true, false) {
			done <- true
		}
		return !busy.Load()
	})
	defer stop()
	for i := range 50 {
		for i%5 == 0 && !l.atRest.Load() {
			runtime.Gosched()
		}
		busy.Store(true)
		l.Stir()
		await(t, done, "a turn")
	}
}

// A loop that lingers waits for its doors, and then looks at the others as well;
// but it lingers only where something often comes in by a door, and once.
func TestTurnsSaysWhetherTheLoopGoesOn(t *testing.T) {
	l := runLoop(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if !l.Turns(ctx) {
		t.Error("a loop at rest does not turn")
	}
	hangs, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stop := l.EachTurn(func() (rest bool) {
		once.Do(func() { close(hangs); <-goOn })
		return true
	})
	defer stop()
	<-hangs
	short, cancelShort := context.WithCancel(ctx)
	cancelShort()
	if l.Turns(short) {
		t.Error("a loop that hangs turns")
	}
	close(goOn)
	if !l.Turns(ctx) {
		t.Error("it does not turn again")
	}
}

func TestLinger(t *testing.T) {
	l, err := NewLoop() // nobody runs it: the test does
	if err != nil {
		t.Fatal(err)
	}
	defer l.closeAll()
	door, client := pair(t, l, true)
	worker, words := pair(t, l, false)
	defer unix.Close(client)
	defer unix.Close(words)
	for _, d := range []*FD{door, worker} {
		go d.OnReadable(func() Next { return Wait })
		fd, _ := d.Acquire()
		d.Release()
		for !inSet(t, l.epoll, fd) {
			runtime.Gosched()
		}
	}
	// wait returns how many are ready, and whether that took as long as
	// lingering does.
	wait := func() (n int, lingered bool) {
		began := time.Now()
		n = len(l.wait())
		return n, time.Since(began) >= lingering
	}
	// often says whether most waits linger: a signal may end one early, and
	// the machine may hold up one that does not.
	often := func(prepare func()) bool {
		count := 0
		for range 20 {
			prepare()
			n, lingered := wait()
			if n == 0 { // a signal
				continue
			}
			if lingered {
				count++
			}
		}
		return count > 10
	}
	unix.Write(words, []byte("x"))
	if often(func() { l.Linger() }) {
		t.Error("lingers though nothing comes in often")
	}
	l.often = true
	if !often(func() { l.Linger() }) {
		t.Error("does not linger")
	}
	if often(func() {}) {
		t.Error("lingers without being told to")
	}
	unix.Write(client, []byte("x"))
	if often(func() { l.Linger() }) {
		t.Error("lingers though something has come in by a door")
	}
	l.Linger()
	if n, _ := wait(); n != 2 {
		t.Errorf("%d are ready, want the door and the other", n)
	}
}

// A loop that has the only processor lets others have it.
func TestLoopSeesHowManyProcessorsThereAre(t *testing.T) {
	l := runLoop(t)
	seen := make(chan bool)
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	want := false
	stop := l.EachTurn(func() bool {
		if l.single == want {
			seen <- want
			want = !want
		}
		return false // never at rest
	})
	defer stop()
	for n := 2; n > 0; n-- {
		runtime.GOMAXPROCS(n)
		await(t, seen, "a change")
	}
}

// What the kernel refuses to wait for is refused each time, and not waited for.
func TestLoopCannotWaitForAFile(t *testing.T) {
	l := runLoop(t)
	for _, door := range []bool{false, true} {
		fd, err := unix.Open(filepath.Join(t.TempDir(), "file"), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		d, err := NewFD(fd, l, door)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.OnReadable(func() Next { return Done }); !errors.Is(err, unix.EPERM) {
				t.Error(err)
			}
			if w := d.wait.(*watch); w.in || w.read != nil {
				t.Error("waits all the same")
			}
		}
		d.Close()
	}
}

// A loop that waits behind the runtime's back must not hold up the garbage
// collector, which stops all goroutines.
func TestCollectsGarbageWhileTheLoopWaits(t *testing.T) {
	l := runLoop(t)
	d, peer := pair(t, l, true)
	defer unix.Close(peer)
	got := make(chan bool, 1)
	go d.OnReadable(func() Next {
		_, next := read(d)
		if next == More {
			got <- true
		}
		return next
	})
	for range 300 {
		unix.Write(peer, []byte("x"))
		await(t, got, "the loop")
		runtime.GC()
	}
}

// Descriptors' numbers come again: what was ready of one that is closed must
// not be taken for its successor's.
func TestNumbersComeAgain(t *testing.T) {
	l := runLoop(t)
	halt1, goOn1 := hold(t, l)
	halt2, goOn2 := hold(t, l)
	for range 50 {
		old, oldPeer := pair(t, l, true) // dealt with behind the second hold
		go old.OnReadable(func() Next { return Wait })
		number, _ := old.Acquire()
		old.Release()
		for !inSet(t, l.epoll, number) {
			runtime.Gosched()
		}
		halt1()
		unix.Write(oldPeer, []byte("x"))
		go goOn1()
		halt2() // both are ready now, and the loop knows
		old.Close()
		successor, peer := pair(t, l, true)
		var called atomic.Bool
		go successor.OnReadable(func() Next {
			called.Store(true)
			return Wait
		})
		again, _ := successor.Acquire()
		successor.Release()
		if again != number {
			t.Fatalf("descriptor %d instead of %d", again, number)
		}
		for !inSet(t, l.epoll, number) {
			runtime.Gosched()
		}
		goOn2()
		halt1() // until the turn is over
		goOn1()
		if called.Load() {
			t.Fatal("called for what another one had to read")
		}
		successor.Close()
		unix.Close(peer)
		unix.Close(oldPeer)
	}
}
