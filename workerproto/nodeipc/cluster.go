package nodeipc

import (
	"slices"
	"time"

	"github.com/stickyd/stickyd/fdpass"
)

// handleCluster handles a message of Node's cluster module, to which stickyd is
// the primary (lib/internal/cluster/child.js; primary.js is what it expects to
// talk to). l.read is held.
func (l *Link) handleCluster(m object) error {
	if ack, ok := m.number("ack"); ok {
		l.handleAccepted(ack, m.truth("accepted"))
		return nil
	}
	seq, _ := m.number("seq")
	switch m.text("act") {
	case "online":
		return l.runs()
	case "queryServer":
		l.handleListen(m, seq)
	case "listening":
		l.handleListening(listenName(m), listenPort(m))
	case "close":
		l.handleClosed(m.text("key"))
	case "exitedAfterDisconnect":
		// cluster.worker.disconnect() or kill(). Without an answer it waits
		// for ever.
		l.leaving = true
		l.handler.Leaving()
		l.reply(seq, nil)
	}
	return nil
}

// runs: a process begins to speak. It may have been started by a launcher, which
// has passed the channel on to it, or come after one that has ended, as in a shell's
// "node build.js && node server.js". l.read is held.
func (l *Link) runs() error {
	if l.online && !l.passing {
		if l.ready || l.bound || l.adopts.Load() {
			return protocolErrorf("another process speaks in the place of the one that served, as where a launcher starts it anew")
		}
		l.forgetProcess()
	}
	l.online, l.passing = true, false
	l.onlines++
	select {
	case l.probe <- struct{}{}:
	default: // it was told already
	}
	return nil
}

// forgetProcess: what is known is of a process that has ended. l.read is held.
func (l *Link) forgetProcess() {
	for len(l.servers) > 0 {
		l.drop(l.servers[0], true)
	}
	l.helper.forget()
	l.hub.hearNews(l)
	l.waitReady, l.saidReady, l.process = l.waitsReady, false, 0
	l.write.Lock()
	l.parcels.apart = false
	l.write.Unlock()
}

// clusterLocked sends a cluster message of our own.
func (l *Link) clusterLocked(members object) {
	l.seq++
	l.sendLocked(append(object{{"cmd", cluster}, {"seq", l.seq}}, members...))
}

// reply answers the worker's message of that number.
func (l *Link) reply(seq int, members object) {
	l.write.Lock()
	defer l.write.Unlock()
	l.clusterLocked(append(object{{"ack", seq}}, members...))
}

// handleAccepted: the server has accepted the connection that newconn with that
// number brought, or closed its copy: it shuts down, or has its fill.
//
// Answers come in the order of the connections. So what was sent before, and has
// no answer, was lost in the worker.
func (l *Link) handleAccepted(seq int, accepted bool) {
	l.write.Lock()
	p, lost := l.answeredLocked(seq)
	if p != nil && accepted {
		l.took = time.Now()
	}
	l.advanceLocked()
	l.write.Unlock()
	for _, gone := range lost {
		l.decline(gone)
	}
	switch {
	case p == nil: // an answer to something else
	case accepted:
		l.taken(p)
	default:
		l.decline(p)
	}
}

// answeredLocked takes out the parcel with that number, nil if there is none, and
// those that were sent before it.
func (l *Link) answeredLocked(seq int) (p *parcel, lost []*parcel) {
	if i := slices.IndexFunc(l.accepting, func(p *parcel) bool { return p.seq == seq }); i >= 0 {
		p, lost = l.accepting[i], slices.Clone(l.accepting[:i])
		l.accepting = slices.Delete(l.accepting, 0, i+1)
		return p, lost
	}
	lost, ok := l.parcels.upTo(seq)
	if !ok {
		return nil, nil
	}
	// Its ACK was taken for one that never came.
	lost = append(l.accepting, lost...)
	l.accepting = nil
	last := len(lost) - 1
	return lost[last], lost[:last]
}

// handleListening: a server of the worker listens. A door is open once the worker
// has also answered a ping, for which it has to end what it was doing: one that is
// there only to find a free port is closed by then. l.read is held.
func (l *Link) handleListening(name string, port int) {
	for _, s := range l.servers {
		if s.Role == doorRole && s.Answered && !s.Listening && s.is(name, port, s.At) {
			s.Listening = true
			l.confirm(s.Key)
			return
		}
	}
}

// confirm asks whether a door that has said that it listens still does. l.read is
// held.
func (l *Link) confirm(key string) { l.ping(func() { l.opened(key) }) }

// opened: the door with that key is open, if it is still there. l.read is held.
func (l *Link) opened(key string) {
	if s := l.find(key); s != nil && !s.Demoted {
		s.Open = true
		l.places.Opened(s.where())
		l.reachable()
		l.becomeReady()
	}
}

// ping has f called when the worker has got a message, unless the conversation
// ends before: a connection for a server that there is not, which the worker
// closes (onconnection in child.js). The application sees nothing of it. l.read is
// held.
func (l *Link) ping(f func()) {
	if l.helper.bindsItself() {
		f() // the library says it in its own time
		return
	}
	near, far, err := fdpass.Channel()
	if err != nil {
		l.log.Warn("cannot ask the worker whether its server is there", "err", err)
		f()
		return
	}
	near.Close()
	l.write.Lock()
	defer l.write.Unlock()
	l.seq++
	p := &parcel{ours: f, at: time.Now()}
	p.FD = far
	p.frame = l.nodeHandle(asHandle, object{{"cmd", cluster}, {"act", "newconn"}, {"key", "ping"}, {"seq", l.seq}})
	l.parcels.push(p)
	l.advanceLocked()
}

// handleClosed: a server of the worker listens no more. Without any door left the
// worker can't be reached, as under Node's own primary, until another one listens;
// what it was not sent yet goes elsewhere. l.read is held.
func (l *Link) handleClosed(key string) {
	s := l.find(key)
	if s == nil {
		return
	}
	l.drop(s, true)
	if s.Role != doorRole {
		l.decideOthers()
		return
	}
	l.write.Lock()
	held := l.parcels.held(key)
	unreachable := l.ready && !l.away && len(l.doors) == 0 && !l.adopts.Load() && !l.ended
	l.write.Unlock()
	if unreachable {
		l.away = true
		l.handler.Unreachable() // first: what it declines must not come back to it
	}
	for _, p := range held {
		l.decline(p)
	}
}

// reachable: a server of the worker that gets connections listens again. l.read is
// held.
func (l *Link) reachable() {
	if l.away {
		l.away = false
		l.handler.Reachable()
	}
}
