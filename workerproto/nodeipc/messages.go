package nodeipc

import (
	"bytes"
	"strings"
	"time"

	"github.com/stickyd/stickyd/fdpass"
)

// handleFrames handles the whole frames that have been received. l.read is
// held.
func (l *Link) handleFrames() error {
	for {
		frame, ok, err := l.stream.next()
		if !ok || err != nil {
			return err
		}
		if err := l.handle(frame); err != nil {
			return err
		}
	}
}

// handle handles one message. What it does not know is an application's, or a
// later Node's, and none of stickyd's business.
func (l *Link) handle(frame []byte) error {
	if bytes.Equal(frame, l.usualAck) {
		return l.handleAck() // one for each connection: spare it the decoding
	}
	m, err := l.codec.decode(frame)
	if err != nil {
		l.handleOther(frame)
		return nil
	}
	switch cmd := m.text("cmd"); cmd {
	case "NODE_HANDLE":
		l.handleHandle(m)
	case "NODE_HANDLE_ACK":
		return l.handleAck()
	case "NODE_HANDLE_NACK":
		return l.handleNack()
	case cluster:
		return l.handleCluster(m)
	case ours:
		l.handleOurs(m)
	default:
		switch {
		case strings.HasPrefix(cmd, "NODE_"): // Node's own
		case l.hub.concerns(m):
			l.hub.relay(l, m, frame)
		default:
			l.handleSticky(m)
		}
	}
	return nil
}

// handleOther handles a message that is no object, or that stickyd can't read.
func (l *Link) handleOther(frame []byte) {
	if text, ok := l.codec.text(frame); ok && text == "ready" { // process.send('ready'), as PM2 has it
		l.saysReady()
		return
	}
	// Whoever it is for, Node will be able to read it.
	l.hub.relayUnread(l, frame)
}

var handleAck = object{{"cmd", "NODE_HANDLE_ACK"}}

// handleHandle handles a message that carries a descriptor. It is acknowledged
// at once: until then the worker holds back all that it has to say.
func (l *Link) handleHandle(m object) {
	fd, ok := l.stream.take()
	if !ok {
		l.send(object{{"cmd", "NODE_HANDLE_NACK"}}) // it is sent again
		return
	}
	l.send(handleAck)
	if inner := m.inner("msg"); inner.text("cmd") != ours || inner.text("act") != "return" || !l.handleReturn(inner, fd) {
		fdpass.Close(fd)
	}
}

// handleAck: the worker has the descriptor of the oldest parcel. The
// application has not seen it yet, but nothing can come in between any more.
func (l *Link) handleAck() error {
	l.write.Lock()
	p := l.parcels.answered()
	switch {
	case p == nil || p.ours != nil:
	case p.seq == 0:
		l.took = time.Now()
	default:
		l.accepting = append(l.accepting, p)
	}
	l.advanceLocked()
	l.write.Unlock()
	switch {
	case p == nil:
		return protocolErrorf("NODE_HANDLE_ACK of nothing")
	case p.ours != nil:
		l.settleOurs(p)
	case p.seq == 0:
		l.taken(p)
	}
	return nil
}

// settleOurs: a descriptor of our own came to its end. l.read is held.
func (l *Link) settleOurs(p *parcel) {
	fdpass.Close(p.FD)
	p.ours()
}

// taken: the worker has the connection for good. l.read is held.
func (l *Link) taken(p *parcel) {
	fdpass.Close(p.FD)
	if !p.Session {
		l.load.add()
	}
	l.handler.Taken(1)
}

// handleNack: the descriptor of the oldest parcel was lost on the way,
// typically because the worker can't open more.
func (l *Link) handleNack() error {
	l.write.Lock()
	p := l.parcels.answered()
	if p == nil {
		l.write.Unlock()
		return protocolErrorf("NODE_HANDLE_NACK of nothing")
	}
	p.nacks++
	again := p.nacks <= maxNacks
	if again {
		l.parcels.again(p)
	}
	l.advanceLocked()
	l.write.Unlock()
	if !again {
		l.decline(p)
	}
	return nil
}

// decline gives back what the worker does not take. l.read is held.
func (l *Link) decline(p *parcel) {
	if p.ours != nil {
		l.settleOurs(p)
		return
	}
	l.handler.Declined(p.Connection)
}
