package nodeipc

import (
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// What the worker makes of a descriptor (handleConversion in
// lib/internal/child_process.js).
const (
	netSocket = "net.Socket"
	netNative = "net.Native" // the bare handle
)

// ofSession marks a connection that is of a session, and so no load by itself.
var ofSession = object{{"session", true}}

// nodeHandle returns the NODE_HANDLE message that brings a descriptor. as says
// what the worker makes of it.
func (l *Link) nodeHandle(as, message object) []byte {
	o := append(object{{"cmd", "NODE_HANDLE"}}, as...)
	return l.codec.encode(append(o, member{"msg", message}))
}

var (
	asSocket = object{{"type", netSocket}}
	asHandle = object{{"type", netNative}}
)

// asListener is asHandle for a socket that listens: Deno has to be told.
func asListener(network string) object {
	kind := "tcp"
	if network == "unix" {
		kind = "pipe"
	}
	return append(asHandle[:1:1], member{"socketType", 1}, member{"nativeKind", kind})
}

// connectionLocked wraps a connection for whoever in the worker gets it: the
// server of Node's cluster module that listens where the client has connected,
// our library, or setupWorker of @socket.io/sticky.
//
// The data that was read off it already, which the published primary always
// has, is empty: stickyd has only peeked, and the worker reads the request from
// the kernel by itself. A connection with data is one that a worker gave back,
// so it carries the mark that forbids it to go back a second time. A worker
// that accounts for its connections needs to know which of them count by
// themselves: those that do not are marked, too. The published libraries see
// neither mark.
func (l *Link) connectionLocked(c workerproto.Connection) *parcel {
	p := &parcel{Connection: c, door: l.doorForLocked(c.FD)}
	switch {
	case p.door != "" && len(c.Replay) == 0 && !l.helper.bindsItself():
		l.seq++
		p.seq = l.seq
		message := object{{"cmd", cluster}, {"act", "newconn"}, {"key", p.door}, {"seq", l.seq}}
		if c.Session {
			message = append(message, member{"stickyd", ofSession})
		}
		p.frame = l.nodeHandle(asHandle, message)
	case p.door != "" || l.helper.door.Load():
		p.frame = l.forLibrary(c, p.door)
	case len(c.Replay) > 0:
		mark := object{{"final", true}}
		if c.Session {
			mark = append(mark, ofSession...)
		}
		p.frame = l.nodeHandle(asSocket, object{{"type", "sticky:connection"}, {"data", c.Replay}, {"stickyd", mark}})
	case c.Session:
		p.frame = l.usualOfSession
	default:
		p.frame = l.usual
	}
	return p
}

// forLibrary is a connection for our library, which gives it to the server with
// that key, or to the one that was attached.
func (l *Link) forLibrary(c workerproto.Connection, key string) []byte {
	message := object{{"cmd", ours}, {"act", "connection"}, {"session", c.Session}}
	if key != "" {
		message = append(message, member{"key", key})
	}
	if len(c.Replay) > 0 {
		message = append(message, member{"data", c.Replay}, member{"final", true})
		if !l.hub.news.bound.Load() {
			l.helper.nobody.Store(true) // first: or it might miss the news
			message = append(message, member{"nobody", !l.hub.news.bound.Load()})
		}
	}
	return l.nodeHandle(asSocket, message)
}

// handleSticky handles what a worker with a published library says of its
// sessions. l.read is held.
func (l *Link) handleSticky(m object) {
	id := []byte(m.text("data"))
	switch m.text("type") {
	case "sticky:connection":
		l.adopts.Store(true)
		if len(id) > 0 {
			l.bindOne(id) // it has no ear for a refusal
			if !l.helper.here.Load() {
				l.settle(1) // see loadExpires
			}
		}
	case "sticky:disconnection":
		if len(id) > 0 {
			l.handler.Unbind(id)
		}
	}
}

// settle takes up to n connections off the load.
func (l *Link) settle(n int) {
	if n = l.load.settle(n); n > 0 {
		l.handler.Settled(n)
	}
}

// expireLoad forgets connections of which nothing was heard, while Run runs.
func (l *Link) expireLoad() {
	timer := time.NewTimer(loadExpires)
	defer timer.Stop()
	for {
		select {
		case <-l.life.Done():
			return
		case <-l.load.begun:
			timer.Reset(loadExpires)
		case <-timer.C:
		}
		if wait, again := l.expireOnce(); again {
			timer.Reset(wait)
		}
	}
}

func (l *Link) expireOnce() (wait time.Duration, again bool) {
	l.read.Lock()
	defer l.read.Unlock()
	if l.failed != nil {
		return 0, false
	}
	n, wait, again := l.load.expire(time.Now())
	if n > 0 {
		l.handler.Settled(n)
	}
	return wait, again
}
