package workerproto

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// A tollkeeper is a Handler that counts what becomes of connections.
type tollkeeper struct {
	ready           chan bool
	taken, declined atomic.Int64
}

func (k *tollkeeper) Ready()                { close(k.ready) }
func (k *tollkeeper) Bind([]byte) bool      { return true }
func (k *tollkeeper) Unbind([]byte)         {}
func (k *tollkeeper) Taken(n int)           { k.taken.Add(int64(n)) }
func (k *tollkeeper) Settled(int)           {}
func (k *tollkeeper) Leaving()              {}
func (k *tollkeeper) Unreachable()          {}
func (k *tollkeeper) Reachable()            {}
func (k *tollkeeper) Returned(c Connection) { fdpass.Close(c.FD) }
func (k *tollkeeper) Declined(c Connection) {
	k.declined.Add(1)
	fdpass.Close(c.FD)
}

// Each connection is taken, declined or left over, once, whatever is called
// beside what; and nothing is left open.
func TestLinksThatAreUsedByManyAtOnce(t *testing.T) {
	loop, err := poll.NewLoop()
	if err != nil {
		t.Fatal(err)
	}
	go loop.Run()
	t.Cleanup(loop.Close)
	hub := NewHub()
	before := openDescriptors(t)
	for round := range 6 {
		var links sync.WaitGroup
		for slot := range 4 {
			links.Go(func() { wearOut(t, loop, hub, time.Duration(5+3*slot+round)*time.Millisecond) })
		}
		links.Wait()
	}
	eventually(t, func() bool { return openDescriptors(t) == before }) // workers close theirs a little later
}

// wearOut lets several goroutines use a link and its worker for some time.
func wearOut(t *testing.T, loop *poll.Loop, hub *Hub, d time.Duration) {
	ours, child, err := fdpass.Pair(loop)
	if err != nil {
		t.Error(err)
		return
	}
	fd, err := unix.FcntlInt(child.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	child.Close()
	if err != nil {
		t.Error(err)
		return
	}
	theirs, err := fdpass.Adopt(fd)
	if err != nil {
		t.Error(err)
		return
	}
	k := &tollkeeper{ready: make(chan bool)}
	l := NewLink(ours, testTerms, k, hub)
	var all sync.WaitGroup
	all.Go(func() { l.Run() })
	all.Go(func() { work(theirs) })

	var handed atomic.Int64
	<-k.ready
	until := time.Now().Add(d)
	for range 2 {
		all.Go(func() {
			for {
				p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
				if err != nil {
					t.Error(err)
					return
				}
				unix.Write(p[1], []byte("x"))
				unix.Close(p[1])
				if l.Hand(Connection{FD: p[0]}) != nil {
					unix.Close(p[0])
					return
				}
				handed.Add(1)
				l.Flush()
			}
		})
	}
	all.Go(func() {
		for time.Now().Before(until) {
			l.UntakenSince()
			l.Sync()
			l.Drain(time.Second, false)
			time.Sleep(100 * time.Microsecond)
		}
	})
	time.Sleep(d)
	orphans := l.Close()
	for _, c := range orphans {
		fdpass.Close(c.FD)
	}
	all.Wait()
	if n := k.taken.Load() + k.declined.Load() + int64(len(orphans)); n != handed.Load() {
		t.Errorf("%d connections were handed, and %d were taken, %d declined, %d left over",
			handed.Load(), k.taken.Load(), k.declined.Load(), len(orphans))
	}
}

// work is a worker that serves what comes until its link ends.
func work(conn *fdpass.Conn) {
	defer conn.Close()
	w, err := attach(conn)
	if err != nil {
		return
	}
	for {
		c, err := w.Accept()
		if err != nil {
			<-w.ended
			return
		}
		io.ReadAll(c)
		c.Close()
	}
}
