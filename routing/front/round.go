package front

import (
	"bytes"
	"slices"

	"github.com/stickyd/stickyd/routing"
)

// A round is connections that are accepted one after the other and leave
// together: those of one target with one send. What most of them need is
// allocated once. It is used by one goroutine at a time.
type round struct {
	*settings
	buf     []byte   // for look
	targets []Target // that were handed something
	handed  int      // connections, to them
	held    []held
}

// A held connection could not go on at first sight: nobody is known to own its
// session, or nobody has room.
type held struct {
	Conn
	routing.Query
}

// maxRound bounds the connections of a round. More would save little, and the
// first one waits for the last.
const maxRound = 32

// fewest is the number of connections from which on the queue is taken to be
// long, and accept, which is dear, may find out itself that it is empty.
const fewest = 5

func (f *Front) newRound() *round {
	s := f.settings.Load()
	return &round{settings: s, buf: s.newBuffer()}
}

// renew makes r go by the present configuration.
func (f *Front) renew(r *round) {
	if s := f.settings.Load(); s != r.settings {
		r.settings, r.buf = s, s.newBuffer()
	}
}

// accept accepts from ln and routes what came. It returns errNoMore when
// nothing is left in the listener's queue.
func (f *Front) accept(ln *Listener, r *round) error {
	fd, err := ln.fd.Acquire()
	if err != nil {
		return err
	}
	defer ln.fd.Release()
	f.renew(r)
	err = f.acceptRound(fd, r)
	f.finish(r)
	return err
}

func (f *Front) acceptRound(listener int, r *round) error {
	for i := range maxRound {
		if f.ending.Err() != nil || i > 0 && i < fewest && !pending(listener) {
			return errNoMore
		}
		fd, err := accept(listener)
		if err != nil {
			return err
		}
		if fd < 0 {
			continue // the client is gone already
		}
		f.Stats.Accepted.Add(1)
		f.admit(Conn{FD: fd}, r)
	}
	return nil
}

// admit hands a connection over at once if that can be done; if not, others
// see to it.
func (f *Front) admit(c Conn, r *round) {
	look := r.look(c, r.buf)
	switch look.verdict {
	case wait:
		f.awaitHeadLater(c)
	case route:
		c.source = look.source
		q := routing.Query{Session: look.session, Client: look.client}
		if to, ok := f.router.Try(&q); ok && f.hand(c, to, &q) {
			r.touch(to)
			return
		}
		q.Session = bytes.Clone(q.Session) // it is in r.buf
		r.held = append(r.held, held{c, q})
	case gone:
		f.turnAway(c, look)
	default:
		f.turnAwayLater(c, look)
	}
}

// touch notes that a target was handed a connection.
func (r *round) touch(to routing.Route) {
	r.handed++
	if t := to.Member.Target.(Target); !slices.Contains(r.targets, t) {
		r.targets = append(r.targets, t)
	}
}

// finish routes those that were held, and sends off all.
func (f *Front) finish(r *round) {
	if len(r.held) > 0 {
		f.router.Sync() // once for all: what a client knows of was registered before it came
		for _, h := range r.held {
			f.routeHeld(h, r)
		}
		clear(r.held)
		r.held = r.held[:0]
	}
	f.Stats.HeadWait.observeNone(r.handed)
	f.Stats.QueueWait.observeNone(r.handed)
	r.handed = 0
	for _, t := range r.targets {
		t.Flush()
	}
	clear(r.targets)
	r.targets = r.targets[:0]
}

func (f *Front) routeHeld(h held, r *round) {
	h.Synced = true
	to, ticket := f.router.Route(h.Query)
	if ticket == nil && f.hand(h.Conn, to, &h.Query) {
		r.touch(to)
		return
	}
	if !f.later(h.Conn, func() { f.awaitTarget(h.Conn, h.Query, ticket) }) {
		f.cancel(ticket)
	}
}

// The closures of these have to be allocated, and so has what they use.

func (f *Front) awaitHeadLater(c Conn) {
	f.later(c, func() { f.awaitHead(c, routing.Query{}) })
}

func (f *Front) turnAwayLater(c Conn, look look) {
	f.later(c, func() { f.turnAway(c, look) })
}
