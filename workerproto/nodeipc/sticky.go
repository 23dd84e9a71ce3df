package nodeipc

import (
	"encoding/base64"
	"time"

	"github.com/stickyd/stickyd/fdpass"
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

// nodeHandle returns the NODE_HANDLE message that brings a descriptor.
func (l *Link) nodeHandle(kind string, message object) []byte {
	return l.codec.encode(object{{"cmd", "NODE_HANDLE"}, {"type", kind}, {"msg", message}})
}

// connectionLocked wraps a connection as setupWorker of @socket.io/sticky
// wants it, or, for a worker that listens, as Node's cluster module does.
//
// The data that was read off it already, which the published primary always
// has, is empty: stickyd has only peeked, and the worker reads the request from
// the kernel by itself. A connection with data is one that a worker gave back,
// so it carries the mark that forbids it to go back a second time. A worker
// that accounts for its connections needs to know which of them count by
// themselves: those that do not are marked, too. The published libraries see
// neither mark.
func (l *Link) connectionLocked(c workerproto.Connection) *parcel {
	p := &parcel{Connection: c}
	switch {
	case len(c.Replay) > 0:
		mark := object{{"final", true}}
		if c.Session {
			mark = append(mark, ofSession...)
		}
		p.frame = l.nodeHandle(netSocket, object{{"type", "sticky:connection"}, {"data", c.Replay}, {"stickyd", mark}})
	case l.door == "" && c.Session:
		p.frame = l.usualOfSession
	case l.door == "":
		p.frame = l.usual
	default:
		l.seq++
		p.seq = l.seq
		message := object{{"cmd", "NODE_CLUSTER"}, {"act", "newconn"}, {"key", l.door}, {"seq", l.seq}}
		if c.Session {
			message = append(message, member{"stickyd", ofSession})
		}
		p.frame = l.nodeHandle(netNative, message)
	}
	return p
}

// handleSticky handles what a worker says of its sessions: the published
// library in the words of @socket.io/sticky, ours in richer ones. l.read is
// held.
func (l *Link) handleSticky(m object) {
	switch m.text("type") {
	case "sticky:connection":
		l.adopts.Store(true)
		if id := m.text("data"); id != "" {
			l.bind([][]byte{[]byte(id)})
			l.settle(1) // see loadExpires
		}
	case "sticky:disconnection":
		if id := m.text("data"); id != "" {
			l.handler.Unbind([]byte(id))
		}
	case "stickyd:hello":
		l.helper.Store(true)
		l.load.trust()
	case "stickyd:bind":
		l.bind(ids(m))
		if adopted, ok := m.number("adopted"); ok {
			l.settle(adopted)
		}
	case "stickyd:unbind":
		for _, id := range ids(m) {
			l.handler.Unbind(id)
		}
	case "stickyd:closed":
		if n, ok := m.number("n"); ok {
			l.settle(n)
		}
	}
}

// bind makes sessions the worker's. Our own library is told which are refused;
// a published one has no ear for that.
func (l *Link) bind(ids [][]byte) {
	var refused []any
	for _, id := range ids {
		if !l.handler.Bind(id) {
			refused = append(refused, string(id))
		}
	}
	if len(refused) > 0 && l.helper.Load() {
		l.send(object{{"type", "stickyd:refused"}, {"ids", refused}})
	}
}

// ids returns the session ids in a message.
func ids(m object) (ids [][]byte) {
	list, _ := m.get("ids").([]any)
	for _, element := range list {
		if id, ok := element.(string); ok && id != "" {
			ids = append(ids, []byte(id))
		}
	}
	return ids
}

// settle takes up to n connections off the load.
func (l *Link) settle(n int) {
	if n = l.load.settle(n); n > 0 {
		l.handler.Settled(n)
	}
}

// handleReturn: the worker gives a connection back, for a request that is
// another worker's. It reports whether it took ownership of fd.
func (l *Link) handleReturn(m object, fd int) bool {
	replay, ok := returnedData(m.get("data"))
	if !ok || len(replay) > workerproto.MaxReplay || !fdpass.IsStreamSocket(fd) {
		l.log.Warn("a connection that was given back cannot be used", "bytes", len(replay))
		return false
	}
	if !m.truth("session") {
		l.settle(1)
	}
	l.handler.Returned(workerproto.Connection{FD: fd, Replay: replay, Session: m.truth("session")})
	return true
}

// returnedData returns bytes from a Buffer, or from base64 where the
// serialization has no Buffers.
func returnedData(value any) (data []byte, ok bool) {
	switch v := value.(type) {
	case []byte:
		return v, true
	case string:
		data, err := base64.StdEncoding.DecodeString(v)
		return data, err == nil
	}
	return nil, false
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
