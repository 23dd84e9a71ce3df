package nodeipc

import (
	"fmt"
	"net"
	"strconv"
	"time"
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
		if !l.online {
			l.online = true
			close(l.probe)
		}
	case "queryServer":
		l.handleListen(m, seq)
	case "listening":
		if l.hasDoor() {
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

// enotsup is the errno that a server gets for a listen that stickyd does not
// answer, as libuv has it.
const enotsup = -95

// handleListen: a server in the worker listens. The first that does gets the
// clients' connections, through the channel, as under round robin in Node; it
// has no socket of its own.
func (l *Link) handleListen(m object, seq int) {
	port, _ := m.number("port")
	host := m.text("address")
	version, isIP := m.number("addressType") // 4, 6, or -1 for a path; "udp4" and "udp6" are others

	l.write.Lock()
	key := fmt.Sprintf("%s:%d:%d", host, port, l.seq)
	opens := l.door == "" && isIP
	if opens {
		l.door = key
	}
	l.write.Unlock()

	if !opens {
		l.log.Warn("listen refused: one server of a worker gets connections, and no socket of its own", "host", host, "port", port)
		l.reply(seq, object{{"key", key}, {"errno", enotsup}, {"data", nil}})
		return
	}
	answer := object{{"key", key}, {"errno", nil}, {"data", nil}}
	if version < 0 {
		l.listens("unix:" + host)
	} else {
		l.listens(net.JoinHostPort(host, strconv.Itoa(port)))
		family := "IPv4"
		if version == 6 {
			family = "IPv6"
		}
		answer = append(answer, member{"sockname", object{{"address", host}, {"family", family}, {"port", port}}})
	}
	l.reply(seq, answer)
}

func (l *Link) hasDoor() bool {
	l.write.Lock()
	defer l.write.Unlock()
	return l.door != ""
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

// handleClosed: a server of the worker listens no more. What it was not sent
// yet goes elsewhere.
func (l *Link) handleClosed(key string) {
	l.write.Lock()
	if key == "" || key != l.door {
		l.write.Unlock()
		return
	}
	l.ended = true
	held := l.parcels.held()
	l.write.Unlock()
	l.handler.Leaving() // first: what it declines must not come back to it
	for _, p := range held {
		l.decline(p)
	}
}
