package nodeipc

import "time"

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
		if !l.online {
			l.online = true
			close(l.probe)
		}
	case "queryServer":
		l.handleListen(m, seq)
	case "listening":
		if l.hasDoor() && listenName(m) == l.doorName {
			l.becomeReady()
		}
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

// clusterLocked sends a cluster message of our own.
func (l *Link) clusterLocked(members object) {
	l.seq++
	l.sendLocked(append(object{{"cmd", "NODE_CLUSTER"}, {"seq", l.seq}}, members...))
}

// reply answers the worker's message of that number.
func (l *Link) reply(seq int, members object) {
	l.write.Lock()
	defer l.write.Unlock()
	l.clusterLocked(append(object{{"ack", seq}}, members...))
}

// handleAccepted: the server has accepted the connection that newconn with that
// number brought, or closed its copy: it shuts down, or has its fill.
func (l *Link) handleAccepted(seq int, accepted bool) {
	l.write.Lock()
	var p *parcel
	for i := range l.accepting {
		if l.accepting[i].seq == seq {
			p = l.accepting[i]
			l.accepting = append(l.accepting[:i], l.accepting[i+1:]...)
			break
		}
	}
	if p != nil && accepted {
		l.took = time.Now()
	}
	l.advanceLocked()
	l.write.Unlock()
	switch {
	case p == nil: // an answer to something else
	case accepted:
		l.taken(p)
	default:
		l.decline(p)
	}
}

// handleClosed: a server of the worker listens no more. If it is the door, the
// worker can't be reached, as under Node's own primary; what it was not sent yet
// goes elsewhere.
func (l *Link) handleClosed(key string) {
	if l.unshare(key) {
		return
	}
	l.write.Lock()
	if key == "" || key != l.door || l.finish { // it will be asked to close it, or was
		l.write.Unlock()
		return
	}
	l.ended = true
	held := l.parcels.held()
	l.write.Unlock()
	l.handler.Unreachable() // first: what it declines must not come back to it
	for _, p := range held {
		l.decline(p)
	}
}
