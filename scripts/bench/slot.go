//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A slot is one of the generator's connections, or the place of one.
type slot struct {
	fd       int // -1 for none
	session  int
	count    int    // requests that it has begun
	out      []byte // still to be sent
	made     []byte // the room of a request that could not be composed ahead
	in       []byte // received
	awaiting bool   // a request has no answer yet
	reused   bool   // the connection has carried a request before
	upgraded bool   // it is a WebSocket
	second   bool   // it asks for the session that it has just been given
	fresh    session
	due      time.Duration // when the request should have begun
	began    time.Duration // and when it did
}

var errTimeout = fmt.Errorf("no answer within %v", patience)

// start begins a request that is due at a certain time.
func (g *generator) start(i int, due time.Duration) {
	s := &g.slots[i]
	s.awaiting, s.due, s.began = true, due, g.now
	s.in = s.in[:0]
	g.outstanding++
	g.choose(i, s)
	s.count++
	if s.fd < 0 && !g.connect(i, s) {
		return
	}
	g.send(i, s)
}

// reset makes close end a connection at once, or the ports run out.
var reset = unix.Linger{Onoff: 1}

// connect opens the slot's connection.
func (g *generator) connect(i int, s *slot) bool {
	to := &g.front
	if g.order.Mode != modeHandshake {
		to = &g.addrs[s.session]
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.fail(i, s, err)
		return false
	}
	s.fd = fd
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &reset)
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		g.fail(i, s, err)
		return false
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&0xffffffff, Fd: int32(i)}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		g.fail(i, s, err)
		return false
	}
	return true
}

// send sends what it can. The rest follows when there is room.
func (g *generator) send(i int, s *slot) {
	for len(s.out) > 0 {
		n, err := unix.Write(s.fd, s.out)
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil:
			g.broken(i, s, err)
			return
		}
		s.out = s.out[n:]
	}
	if g.order.Mode == modeHoldPolls {
		g.park(s) // no answer will come
	}
}

// handle is called when there is something to read, or room to send.
func (g *generator) handle(i int, events uint32) {
	s := &g.slots[i]
	if s.fd < 0 {
		return
	}
	if g.order.Mode == modeHoldQuiet && s.awaiting && events&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		g.park(s) // it is connected
		return
	}
	if events&unix.EPOLLOUT != 0 && len(s.out) > 0 {
		if g.send(i, s); s.fd < 0 {
			return
		}
	}
	if events&^unix.EPOLLOUT != 0 {
		g.receive(i, s)
	}
}

// receive reads all that is there, as an edge-triggered set needs it.
func (g *generator) receive(i int, s *slot) {
	for {
		room := s.in[len(s.in):cap(s.in)]
		if len(room) == 0 {
			g.fail(i, s, errors.New("an answer that is longer than expected"))
			return
		}
		n, err := unix.Read(s.fd, room)
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil:
			g.broken(i, s, err)
			return
		case n == 0:
			g.broken(i, s, errors.New("closed before the answer"))
			return
		}
		s.in = s.in[:len(s.in)+n]
		if g.understand(i, s) || n < len(room) {
			return
		}
	}
}

// broken is called when the connection ended. If it had been kept, that may
// have crossed with the request, which goes over another one then.
func (g *generator) broken(i int, s *slot, err error) {
	crossed := s.reused && !s.upgraded && len(s.in) == 0
	g.drop(s)
	switch {
	case !s.awaiting:
	case crossed:
		g.tally.Reconnects++
		s.out = g.request(s)
		if g.connect(i, s) {
			g.send(i, s)
		}
	default:
		g.fail(i, s, err)
	}
}

// fail counts a request that has no answer. The slot's next one begins a
// little later, or a front that refuses everything would be all that it does.
func (g *generator) fail(i int, s *slot, err error) {
	g.tally.Failed++
	if g.tally.FirstError == "" {
		g.tally.FirstError = err.Error()
	}
	g.drop(s)
	g.over(s)
	switch {
	case g.preparing:
	case g.order.Rate > 0:
		g.idle = append(g.idle, i)
	default:
		g.retry = append(g.retry, i)
	}
}

// over ends a slot's request.
func (g *generator) over(s *slot) {
	s.awaiting, s.second, s.out = false, false, nil
	g.outstanding--
}

// drop closes the slot's connection.
func (g *generator) drop(s *slot) {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
	s.fd, s.reused, s.upgraded = -1, false, false
}

// park leaves a connection that is prepared.
func (g *generator) park(s *slot) {
	s.awaiting = false
	s.reused = true
	g.outstanding--
	g.tally.Open++
}

// next is called when a request has its answer.
func (g *generator) next(i int, s *slot) {
	g.over(s)
	switch {
	case g.order.Rate > 0:
		g.idle = append(g.idle, i)
	case g.clock() < g.end:
		g.start(i, g.now)
	}
}

// expire gives up what has waited for too long, and lets slots go on that have
// failed.
func (g *generator) expire() {
	again := g.retry
	g.retry = nil
	for _, i := range again {
		if g.now < g.end {
			g.start(i, g.now)
		}
	}
	for i := range g.slots {
		if s := &g.slots[i]; s.awaiting && g.now-s.began > patience {
			g.tally.TimedOut++
			g.fail(i, s, errTimeout)
		}
	}
}
