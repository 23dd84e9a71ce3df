package front

import (
	"container/list"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// waiters bounds the connections that wait, and knows which wait for a head.
type waiters struct {
	max int

	mu    sync.Mutex
	count int
	heads list.List // of *os.File whose owner waits for a head, the oldest in front
	ended bool      // nobody waits for a head any more
	tasks sync.WaitGroup
}

// start runs task in a goroutine. At the limit the connection that has waited
// longest for its head is given up, so that silent clients don't keep others
// out; if there is none, start returns false.
func (w *waiters) start(task func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= w.max && !w.giveUpOldest() {
		return false
	}
	w.run(task)
	return true
}

// force runs task in a goroutine, limit or no limit.
func (w *waiters) force(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.run(task)
}

func (w *waiters) run(task func()) {
	w.count++
	w.tasks.Go(func() {
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.count--
		}()
		task()
	})
}

func (w *waiters) giveUpOldest() bool {
	front := w.heads.Front()
	if front == nil {
		return false
	}
	w.heads.Remove(front).(*os.File).SetReadDeadline(time.Unix(1, 0))
	return true
}

// giveUpHeads ends every wait for a head, now and from now on.
func (w *waiters) giveUpHeads() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for w.giveUpOldest() {
	}
}

// enter notes that file's owner waits for a head until the deadline.
func (w *waiters) enter(file *os.File, deadline time.Time) (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		deadline = time.Unix(1, 0)
	}
	file.SetReadDeadline(deadline)
	place := w.heads.PushBack(file)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heads.Remove(place) // does nothing if it was given up
	}
}

func (w *waiters) wait() { w.tasks.Wait() }

// awaitHead waits until the head is whole and goes on from there.
func (f *Front) awaitHead(c Conn, q routing.Query) {
	file := os.NewFile(uintptr(c.FD), "client")
	look, err := f.watchHead(c, file)
	// The poller must forget the socket, and the socket must stay open.
	c.FD = -1
	if look.verdict != gone {
		c.FD, err = duplicate(file)
	}
	file.Close()
	if c.FD < 0 {
		f.Stats.Abandoned.Add(1)
		f.log.Debug("connection ended before its request", "err", err)
		return
	}
	if look.verdict != route {
		f.turnAway(c, look)
		return
	}
	q.Session, q.Client = look.session, look.client
	to, ticket := f.router.Route(q)
	if ticket == nil && f.hand(c, to) {
		return
	}
	f.awaitTarget(c, q, ticket)
}

// watchHead looks at c each time that more of it has come. All of the wait is
// one Read: between two of them an edge of the poller would be lost.
func (f *Front) watchHead(c Conn, file *os.File) (seen look, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return look{verdict: gone}, err
	}
	leave := f.waiters.enter(file, time.Now().Add(f.config.HeadTimeout))
	defer leave()
	err = raw.Read(func(uintptr) bool {
		buf := f.buffers.Get().(*[]byte)
		defer f.buffers.Put(buf)
		seen = f.look(c, *buf)
		seen.session = append([]byte(nil), seen.session...)
		return seen.verdict != wait
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		seen = look{verdict: refuse, answer: tooSlow}
	}
	return seen, err
}

// duplicate returns a descriptor of its own for what file has open.
func duplicate(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return -1, err
	}
	return fd, nil
}

// retryPause is the time before a connection is routed again whose target
// would not take it: it is about to be removed.
const retryPause = 5 * time.Millisecond

// maxRefusals is how often a connection is routed again after a target could
// not take it.
const maxRefusals = 8

// awaitTarget waits for a target that takes c. ticket is nil if a first one
// has refused already.
func (f *Front) awaitTarget(c Conn, q routing.Query, ticket *routing.Ticket) {
	deadline := time.NewTimer(f.config.QueueTimeout)
	defer deadline.Stop()
	for c.Refusals <= maxRefusals {
		if ticket == nil {
			if !f.sleep(retryPause, deadline.C) {
				break
			}
		} else if to, ok := f.redeem(ticket, deadline.C); !ok {
			break
		} else if f.hand(c, to) {
			return
		}
		var to routing.Route
		to, ticket = f.router.Route(q)
		if ticket == nil && f.hand(c, to) {
			return
		}
	}
	f.turnAway(c, look{verdict: refuse, answer: noWorker})
}

// redeem waits for the ticket's route; ok is false if it comes too late.
func (f *Front) redeem(t *routing.Ticket, deadline <-chan time.Time) (to routing.Route, ok bool) {
	select {
	case to = <-t.Ready():
		return to, true
	case <-deadline:
	case <-f.ending.Done():
	}
	return f.router.Cancel(t)
}

// sleep reports whether there is time left after d. A nil deadline never comes.
func (f *Front) sleep(d time.Duration, deadline <-chan time.Time) bool {
	select {
	case <-time.After(d):
		return true
	case <-deadline:
	case <-f.ending.Done():
	}
	return false
}

// hand gives c to its target. If that fails the caller has it still.
func (f *Front) hand(c Conn, to routing.Route) bool {
	if err := to.Member.Target.(Target).Hand(c, to.Session); err != nil {
		f.router.Release(to)
		return false
	}
	f.Stats.Handed.Add(1)
	return true
}
