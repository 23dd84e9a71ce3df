package poll

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
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

// A descriptor for which nobody waits, and whose peer is gone, must not keep
// the loop busy.
func TestLoopForgetsWhatNobodyWaitsFor(t *testing.T) {
	l := runLoop(t)
	d, peer := pair(t, l, true)
	fd, _ := d.Acquire()
	d.Release()
	waiting := make(chan error, 1)
	go func() {
		waiting <- d.OnReadable(func() Next { return Done })
	}()
	for _, ep := range []int{l.first, l.all} {
		for !inSet(t, ep, fd) {
			runtime.Gosched()
		}
	}
	unix.Close(peer)
	await(t, waiting, "the end")
	for _, ep := range []int{l.first, l.all} {
		for inSet(t, ep, fd) { // it is told first
			runtime.Gosched()
		}
	}
}

// What is ready and not first is called before what is first, also when the
// loop lingers; and it is called where nothing first comes.
func TestLinger(t *testing.T) {
	l := runLoop(t)
	door, client := pair(t, l, true)
	worker, words := pair(t, l, false)
	defer unix.Close(client)
	defer unix.Close(words)
	calls := make(chan string, 10)
	listen := func(d *FD, name string) {
		d.OnReadable(func() Next {
			if _, next := read(d); next == More {
				calls <- name
			}
			l.Linger()
			return Wait
		})
	}
	go listen(door, "door")
	go listen(worker, "worker")
	for range 100 {
		unix.Write(client, []byte("1"))
		await(t, calls, "the door") // now it lingers
		unix.Write(words, []byte("2"))
		if got := await(t, calls, "the worker"); got != "worker" {
			t.Fatal(got)
		}
	}
	hold, held := make(chan bool), make(chan bool)
	other, wake := pair(t, l, true)
	defer unix.Close(wake)
	go other.OnReadable(func() Next {
		if _, next := read(other); next != More {
			return next
		}
		held <- true
		<-hold
		l.Linger()
		return Wait
	})
	for range 100 {
		unix.Write(wake, []byte("x"))
		await(t, held, "the loop")
		unix.Write(client, []byte("1"))
		unix.Write(words, []byte("2"))
		hold <- true
		if first, second := await(t, calls, "one"), await(t, calls, "two"); first != "worker" || second != "door" {
			t.Fatal(first, " before ", second)
		}
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
		if _, next := read(d); next == More {
			got <- true
		}
		l.Linger()
		return Wait
	})
	for range 300 {
		unix.Write(peer, []byte("x"))
		await(t, got, "the loop")
		runtime.GC()
	}
}

// Descriptors' numbers come again: what is ready of one that was closed must
// not be taken for its successor.
func TestNumbersComeAgain(t *testing.T) {
	l := runLoop(t)
	for range 500 {
		d, peer := pair(t, l, false)
		ended := make(chan error, 1)
		go func() { ended <- d.OnReadable(func() Next { return Wait }) }()
		unix.Write(peer, []byte("x"))
		d.Close()
		await(t, ended, "the end")
		next, nextPeer := pair(t, l, false)
		called := make(chan bool, 1)
		go next.OnReadable(func() Next {
			called <- true
			return Done
		})
		runtime.Gosched()
		if len(called) > 0 {
			t.Fatal("called for what another one had to read")
		}
		next.Close()
		unix.Close(peer)
		unix.Close(nextPeer)
	}
}
