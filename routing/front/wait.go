package front

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// waiters bounds the connections that wait, and knows which wait for a head.
type waiters struct {
	mu    sync.Mutex
	max   int
	count int
	heads list.List     // of *os.File whose owner waits for a head, the oldest in front
	ended bool          // nobody waits for a head any more
	idle  chan struct{} // closed when count is 0, where somebody waits for that
}

func (w *waiters) setMax(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.max = n
}

// start runs task in a goroutine. At the limit the connection that has waited
// longest for its head is given up, so that silent clients don't keep others
// out; if there is none, start returns false.
func (w *waiters) start(task func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= 2*w.max || w.count >= w.max && !w.giveUpOldest() {
		return false // twice: those that were given up are on their way out
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
	go func() {
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.count--; w.count == 0 && w.idle != nil {
				close(w.idle)
				w.idle = nil
			}
		}()
		task()
	}()
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

// closed reports whether giveUpHeads was called.
func (w *waiters) closed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
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

// wait returns when there was a moment in which nobody waited. (A WaitGroup
// panics if force is called beside its Wait.)
func (w *waiters) wait() {
	w.mu.Lock()
	if w.count == 0 {
		w.mu.Unlock()
		return
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	<-idle
}

// awaitHead waits until the head is whole and goes on from there.
func (f *Front) awaitHead(c Conn, q routing.Query) {
	s := f.settings.Load()
	look := s.lookOnce(c)
	if look.verdict == wait {
		began := time.Now()
		var err error
		if look, err = f.watchHead(&c, s); err != nil {
			f.log.Debug("connection ended before its request", "err", err)
		}
		c.headWait += time.Since(began)
	}
	switch {
	case look.verdict == wait, look.verdict == route && f.frozen.Load():
		f.kept.add(c, q)
		return
	case look.verdict != route:
		f.turnAway(c, look)
		return
	}
	q.Session, q.Client = look.session, look.client
	to, ticket := f.router.Route(q)
	if ticket != nil || !f.deliver(c, to, &q) {
		f.awaitTarget(c, q, ticket)
	}
}

// watchHead looks at c each time that more of it has come. The verdict is wait
// if Freeze has ended that. c has another
// descriptor afterwards, or none if the verdict is gone: the poller must forget
// the one that it knows, and the socket must stay open.
func (f *Front) watchHead(c *Conn, s *settings) (look, error) {
	file := os.NewFile(uintptr(c.FD), "client")
	seen, err := f.watch(*c, s, file)
	if seen.verdict == gone {
		c.FD = -1
		return seen, errors.Join(err, file.Close())
	}
	if c.FD, err = f.detach(file); err != nil {
		f.Stats.Refused.Add(1)
		answerAndLinger(file, noFiles)
		return look{verdict: answered}, err
	}
	return seen, nil
}

// watch does all of the wait in one Read: between two of them an edge of the
// poller would be lost.
func (f *Front) watch(c Conn, s *settings, file *os.File) (seen look, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return look{verdict: gone}, err
	}
	deadline := time.Now().Add(s.HeadTimeout)
	leave := f.waiters.enter(file, deadline)
	defer leave()
	err = raw.Read(func(uintptr) bool {
		seen = s.lookOnce(c)
		return seen.verdict != wait
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && f.frozen.Load():
		return look{verdict: wait}, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && f.waiters.closed():
		return look{verdict: refuse, answer: stopping}, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline):
		return look{verdict: refuse, answer: tooMany}, nil // given up
	case errors.Is(err, os.ErrDeadlineExceeded):
		return look{verdict: refuse, answer: tooSlow}, nil
	case err != nil:
		return look{verdict: gone}, err
	}
	return seen, nil
}

// lookOnce is look with a buffer of its own.
func (s *settings) lookOnce(c Conn) look {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	seen := s.look(c, *buf)
	seen.session = bytes.Clone(seen.session)
	return seen
}

// detach returns a descriptor of its own for what file has open, and closes
// file; after an error it has not. Out of descriptors it uses the one that is
// kept for that.
func (f *Front) detach(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	f.spare.Lock()
	defer f.spare.Unlock()
	fd, err = duplicate(raw)
	if outOfResources(err) {
		f.spare.release()
		fd, err = duplicate(raw)
	}
	if err == nil {
		file.Close()
	}
	f.spare.reserve()
	return fd, err
}

func duplicate(raw syscall.RawConn) (fd int, err error) {
	ctlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return -1, err
	}
	return fd, nil
}

// A spare is a descriptor that is kept for when there are no others.
type spare struct {
	sync.Mutex
	file *os.File // nil while there is none
}

func (s *spare) reserve() {
	if s.file == nil {
		s.file, _ = os.Open(os.DevNull) // else next time
	}
}

func (s *spare) release() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

const (
	// retryPause is the time before a connection is routed again whose target
	// would not take it: it is about to be removed.
	retryPause = 5 * time.Millisecond

	// maxRefusals is how often a connection is routed again after a target
	// could not take it.
	maxRefusals = 8
)

// awaitTarget waits for a target that takes c. ticket is nil if a first one
// has refused already.
func (f *Front) awaitTarget(c Conn, q routing.Query, ticket *routing.Ticket) {
	began := time.Now()
	switch {
	case f.queue(c, &q, ticket):
		f.Stats.QueueWait.observe(time.Since(began))
	case f.frozen.Load():
		f.kept.add(c, q)
	default:
		f.turnAway(c, look{verdict: refuse, answer: noWorker})
	}
}

// queue reports whether a target has taken c in time.
func (f *Front) queue(c Conn, q *routing.Query, ticket *routing.Ticket) bool {
	ctx, cancel := context.WithTimeout(f.ending, f.settings.Load().QueueTimeout)
	defer cancel()
	for {
		if ticket == nil {
			if !f.sleep(ctx, retryPause) {
				return false
			}
		} else if to, ok := f.redeem(ctx, q, ticket); !ok {
			return false
		} else if f.deliver(c, to, q) {
			return true
		}
		var to routing.Route
		if to, ticket = f.router.Route(*q); ticket == nil && f.deliver(c, to, q) {
			return true
		}
	}
}

// redeem waits for the ticket's route; ok is false if it comes too late.
func (f *Front) redeem(ctx context.Context, q *routing.Query, t *routing.Ticket) (to routing.Route, ok bool) {
	if t.Parked() {
		to, ok = f.awaitRegistration(t)
		q.Parked = !f.frozen.Load() // once is enough, if it was not cut short
		if ok {
			return to, true
		}
	}
	select {
	case to = <-t.Ready():
		return to, true
	case <-ctx.Done():
		return f.router.Cancel(t)
	}
}

// awaitRegistration waits until the session of a parked connection is
// registered, or has had its time to be. If no route has come by then, the
// ticket is one as any other.
func (f *Front) awaitRegistration(t *routing.Ticket) (to routing.Route, came bool) {
	timer := time.NewTimer(f.settings.Load().ParkTimeout)
	defer timer.Stop()
	select {
	case to = <-t.Ready():
		return to, true
	case <-timer.C:
	case <-f.ending.Done():
		if f.frozen.Load() {
			return routing.Route{}, false // the registration may come after the thaw
		}
	}
	f.router.Unpark(t)
	return routing.Route{}, false
}

// cancel gives up a ticket, if there is one.
func (f *Front) cancel(t *routing.Ticket) {
	if t == nil {
		return
	}
	if to, came := f.router.Cancel(t); came {
		f.router.Release(to)
	}
}

// sleep reports whether there is time left after d.
func (f *Front) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// suspicious is how many requests with unknown ids make it worth a line in the
// log that no id is known at all.
const suspicious = 20

// noteUnknown counts a request whose id is nobody's. That happens, and to each
// client of a stickyd before this one; but where sessions could have begun and
// no worker has ever registered one it is a mistake, and hard to see.
func (f *Front) noteUnknown() {
	if f.Stats.Unknown.Add(1)%suspicious != 0 || f.Stats.Without.Load() < suspicious || f.router.Bound() > 0 {
		return
	}
	f.unbound.Do(func() {
		f.log.Warn("requests carry session ids, but no worker has registered any session: does it call Bind?",
			"requests", f.Stats.Unknown.Load(), "session", f.settings.Load().Sessions.Strings())
	})
}

// noteWithout counts a request without an id. Where sessions are registered and
// no request has ever carried one, ids may be somewhere else than we look; or
// each client keeps to its first connection, whose later requests we don't see.
func (f *Front) noteWithout() {
	if f.Stats.Without.Add(1)%suspicious != 0 || f.router.Bound() < suspicious || f.Stats.Known.Load()+f.Stats.Unknown.Load() > 0 {
		return
	}
	f.blind.Do(func() {
		f.log.Info("workers have registered sessions, but no connection has begun with a session id: unless clients keep their connections, is --session right?",
			"sessions", f.router.Bound(), "session", f.settings.Load().Sessions.Strings())
	})
}

// deliver is hand for a connection that goes alone.
func (f *Front) deliver(c Conn, to routing.Route, q *routing.Query) bool {
	if !f.hand(c, to, q) {
		return false
	}
	to.Member.Target.(Target).Flush()
	if c.headWait > 0 {
		f.Stats.HeadWait.observe(c.headWait)
	}
	return true
}

// hand gives c to its target, which is to be flushed. If that fails the caller
// has it still, and q says whom not to ask again.
func (f *Front) hand(c Conn, to routing.Route, q *routing.Query) bool {
	if err := to.Member.Target.(Target).Hand(c, to.Session); err != nil {
		f.router.Release(to)
		q.From, q.Returned, q.Missed = to.Member, false, to.Lookup != routing.Found
		return false
	}
	f.Stats.Handed.Add(1)
	f.router.Handed(to)
	switch {
	case to.Session:
		f.Stats.Known.Add(1)
	case len(q.Session) > 0:
		f.noteUnknown()
	default:
		f.noteWithout()
	}
	return true
}
