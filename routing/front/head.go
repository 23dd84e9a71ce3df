package front

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
)

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
	c.source, q.Session, q.Client = look.source, look.session, look.client
	to, ticket := f.router.Route(q)
	if ticket != nil || !f.deliver(c, to, &q, 0) {
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
		half, _ := hungUp(c.FD) // before the look, which then sees all that will ever come
		seen = s.lookOnce(c)
		if half && seen.verdict == wait {
			seen.verdict = gone
		}
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

// lacksHead reports whether the head of c's request has no end yet, as far as that
// can be seen. For the choice of a worker its first line may have been enough.
func (s *settings) lacksHead(c Conn) bool {
	if !s.peeks {
		return false // it need not be a request
	}
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	room := (*buf)[:s.HeadBytes]
	n, _, _ := c.peek(room)
	_, status := session.ParseHead(room[:n], true)
	return status == session.Incomplete && n < len(room)
}

// detach returns a descriptor of its own for what file has open, and closes
// file; after an error it has not. Out of descriptors it uses the one that is
// kept for that.
func (f *Front) detach(file *os.File) (fd int, err error) {
	f.spare.Lock()
	defer f.spare.Unlock()
	fd, err = poll.Duplicate(file)
	if outOfResources(err) {
		f.spare.release()
		fd, err = poll.Duplicate(file)
	}
	if err == nil {
		file.Close()
	}
	f.spare.reserve()
	return fd, err
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
