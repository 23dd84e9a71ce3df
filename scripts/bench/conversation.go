//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// What the generator says on its connections, and how it checks the answers.

// compose makes the requests ahead, so that sending one is cheap.
func (g *generator) compose() (err error) {
	if g.order.Mode == modeHandshake {
		g.requests = [][]byte{closing(g.order.App.Handshake)}
		g.before, g.behind, _ = bytes.Cut(closing(g.order.App.Poll+"{id}"), []byte("{id}"))
		g.front, err = sockaddr(g.order.Addr)
		return err
	}
	groups := map[string]int{}
	for i, s := range g.order.Sessions {
		g.requests = append(g.requests, g.requestOf(s))
		addr, err := sockaddr(s.Addr)
		if err != nil {
			return err
		}
		g.addrs = append(g.addrs, addr)
		k, known := groups[s.Worker]
		if !known {
			k = len(g.groups)
			groups[s.Worker] = k
			g.groups = append(g.groups, nil)
		}
		g.groups[k] = append(g.groups[k], i)
	}
	if g.order.Size > 0 {
		g.message = frame(g.order.Size)
	}
	return nil
}

// requestOf is the request with which a connection of a session begins.
func (g *generator) requestOf(s session) []byte {
	switch g.order.Mode {
	case modeKept, modeMixed:
		return keeping(g.order.App.Poll + s.ID)
	case modeWebSocket, modeHoldWS:
		return upgrading(g.order.App.WebSocket + s.ID)
	case modeHoldPolls:
		return keeping(g.order.App.Wait + s.ID)
	}
	return closing(g.order.App.Poll + s.ID)
}

func sockaddr(addr string) (unix.SockaddrInet4, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil || !a.Addr().Is4() {
		return unix.SockaddrInet4{}, fmt.Errorf("%q is not an IPv4 address and port", addr)
	}
	return unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
}

// choose sets the session and the bytes of the slot's next request.
func (g *generator) choose(i int, s *slot) {
	switch g.order.Mode {
	case modeNew:
		s.session = g.turn % len(g.requests)
		g.turn++
	case modeMixed: // another worker's each time
		group := g.groups[(i+s.count)%len(g.groups)]
		s.session = group[i%len(group)]
	case modeHandshake:
		s.session = 0
	default:
		s.session = i % len(g.requests)
	}
	s.out = g.request(s)
}

// request is what the slot sends next.
func (g *generator) request(s *slot) []byte {
	switch {
	case g.order.Mode == modeHoldQuiet:
		return nil
	case s.second:
		s.made = append(append(append(s.made[:0], g.before...), s.fresh.ID...), g.behind...)
		return s.made
	case s.upgraded:
		return g.message
	}
	return g.requests[s.session]
}

// understand looks at what was received, and says whether that ended the
// slot's wait for more.
func (g *generator) understand(i int, s *slot) bool {
	switch {
	case !s.awaiting: // unasked, before the server closes the connection
		g.drop(s)
		return true
	case s.upgraded:
		return g.echo(i, s)
	}
	a, whole, err := parseAnswer(s.in)
	switch {
	case err != nil:
		g.fail(i, s, err)
		return true
	case !whole:
		return false
	case a.status != 200 && a.status != 400 && a.status != 101:
		g.fail(i, s, fmt.Errorf("unexpected status %d", a.status))
		return true
	}
	g.answered(i, s, a)
	return true
}

// echo counts a message that has come back whole.
func (g *generator) echo(i int, s *slot) bool {
	header := len(frameHeader(g.order.Size, 0))
	if len(s.in) < header+g.order.Size {
		return false
	}
	if payload := s.in[header:]; !slices.Equal(payload, g.message[len(g.message)-g.order.Size:]) {
		g.fail(i, s, errors.New("a message came back changed"))
		return true
	}
	g.count(s, true)
	g.next(i, s)
	return true
}

// answered counts an answer and goes on.
func (g *generator) answered(i int, s *slot, a answer) {
	owner := &s.fresh
	if g.order.Mode != modeHandshake {
		owner = &g.order.Sessions[s.session]
	}
	first := g.order.Mode == modeHandshake && !s.second
	right := a.status != 400 && (first || owner.Worker == "" || owner.Worker == string(a.worker))
	s.upgraded = a.status == 101
	if !s.upgraded && (a.closes || g.order.Mode == modeNew || g.order.Mode == modeHandshake) {
		if g.order.Mode == modeKept || g.order.Mode == modeMixed {
			g.tally.Reconnects++
		}
		g.drop(s)
	} else {
		s.reused = true
	}
	if g.preparing {
		g.prepared(i, s, right)
		return
	}
	g.count(s, right)
	if first {
		g.tally.Checked--
		g.follow(i, s, a)
		return
	}
	g.next(i, s)
}

// prepared is answered before the measurement.
func (g *generator) prepared(i int, s *slot, right bool) {
	wantsUpgrade := g.order.Mode == modeWebSocket || g.order.Mode == modeHoldWS
	if wantsUpgrade && !(s.upgraded && right) {
		g.fail(i, s, errors.New("the WebSocket was refused, or reached the wrong worker"))
		return
	}
	g.park(s)
}

func (g *generator) count(s *slot, right bool) {
	g.tally.Requests++
	g.tally.Checked++
	if !right {
		g.tally.Wrong++
	}
	g.latencies.add(g.clock() - s.due)
}

// follow asks for the session that an answer has just revealed.
func (g *generator) follow(i int, s *slot, a answer) {
	s.fresh = session{ID: string(sessionIn(a.body)), Worker: string(a.worker)}
	if s.fresh.ID == "" || a.status != 200 {
		g.fail(i, s, fmt.Errorf("a handshake was answered with status %d and no session", a.status))
		return
	}
	s.second, s.due, s.began, s.in = true, g.now, g.now, s.in[:0]
	s.out = g.request(s)
	if g.connect(i, s) {
		g.send(i, s)
	}
}
