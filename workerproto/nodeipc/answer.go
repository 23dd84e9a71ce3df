package nodeipc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Servers of the worker that listen ask for a socket (queryServer). Those to
// which clients come get their connections, through the channel, as under round
// robin in Node, and have no socket of their own: they are the doors. All others
// get a socket that all workers share, as Node itself has it for UDP and without
// round robin.
//
// Which are the doors?
//
//   - Those that listen where stickyd does.
//   - None, if setupWorker or attach was called: connections come through that.
//   - Else the first. Where stickyd listens where workers want to, it is at once,
//     and also the first that speaks TLS. Where stickyd was told to listen somewhere
//     else, it waits a moment for one that listens there.
//   - A worker without a library of ours may yet call setupWorker, which nobody
//     sees; there it is decided by two probes that were not answered (probe.go).
//
// A door is open when the worker says that it listens, and has not closed it
// again by the time that it answers a ping: programs that look for a free port
// listen for a moment.

const (
	// doorPatience is how long a server waits for another one of its worker, that
	// listens where stickyd does.
	doorPatience = 300 * time.Millisecond

	// adoptPatience is how long it waits for a call of setupWorker where that is
	// loaded.
	adoptPatience = 2 * time.Second
)

// enotsup is what a server is told that listens on what stickyd can't open, as
// libuv has it.
const enotsup = -95

// handleListen answers a server's wish, at once or when it is decided what it
// is. l.read is held.
func (l *Link) handleListen(m object, seq int) {
	s := &server{listen: parseListen(m, seq, l.helper.runtime)}
	l.hub.keepData(s.dataName(), m.get("data"))
	switch {
	case s.Network == "":
		l.log.Warn("a server of the worker wants to listen on what stickyd cannot open", "host", m.text("address"), "fd", m.get("fd"))
		l.reply(seq, object{{"key", s.Key}, {"errno", enotsup}, {"data", nil}})
		return
	case len(l.servers) == maxServers:
		l.refuse(s, fmt.Errorf("it has %d already: %w", maxServers, syscall.EMFILE))
		return
	}
	l.servers = append(l.servers, s)
	l.decide(s)
}

// decide gives a server that is undecided its role, unless that has to wait.
// l.read is held.
func (l *Link) decide(s *server) {
	switch {
	case !s.isStream():
		l.share(s)
	case l.places.IsDoor(s.where()):
		l.makeDoor(s)
		if !l.places.Follows() {
			l.demoteDoors("another one listens where clients connect")
		}
		l.decideOthers()
	case l.adopts.Load():
		l.share(s)
	case !l.helper.here.Load():
		l.decideByProbes(s)
	case !l.mayBeDoor(s):
		l.share(s)
	case l.helper.expects:
		l.wait(adoptPatience)
	case l.places.Follows():
		l.makeDoor(s)
	default:
		l.wait(doorPatience)
	}
}

// decideOthers decides those that had to wait, now that more is known. l.read is
// held.
func (l *Link) decideOthers() {
	if l.failed != nil {
		return // what is pushed now is never sent, nor closed
	}
	for _, s := range slices.Clone(l.servers) {
		if s.Role == undecided {
			l.decide(s)
		}
	}
}

// mayBeDoor reports whether a server that does not listen where stickyd does can
// get connections nevertheless: of those that speak TLS, and those that do not, one
// where stickyd follows, else one of all. l.read is held.
func (l *Link) mayBeDoor(s *server) bool {
	follows := l.places.Follows()
	for _, other := range l.servers {
		if other.Role == doorRole && (!follows || other.TLS == s.TLS) {
			return false
		}
	}
	return true
}

// wait lets those that are undecided wait for so long. l.read is held.
func (l *Link) wait(patience time.Duration) {
	if l.patience == nil {
		l.patience = time.AfterFunc(patience, l.outOfPatience)
	}
}

// outOfPatience makes the first server that waits a door.
func (l *Link) outOfPatience() {
	l.read.Lock()
	defer l.read.Unlock()
	l.patience = nil
	if l.failed != nil {
		return
	}
	l.helper.expects = false
	for _, s := range l.servers {
		if s.Role == undecided {
			if l.mayBeDoor(s) {
				l.makeDoor(s)
			}
			break
		}
	}
	l.decideOthers()
}

// makeDoor asks for clients' connections for a server. l.read is held.
func (l *Link) makeDoor(s *server) {
	s.Role = doorRole
	key := s.Key
	s.release = l.places.Claim(s.where(), s.TLS, func(at string, err error) { l.claimed(key, at, err) })
}

// demoteDoors: connections go elsewhere, and not to servers that were taken for
// those that get them, but for any that listens where clients connect. l.read is
// held.
func (l *Link) demoteDoors(why string) {
	for _, s := range l.servers {
		if s.Role != doorRole || s.Demoted || l.places.IsDoor(s.where()) && !l.places.Follows() {
			continue
		}
		s.Demoted = true
		l.log.Warn("a server of the worker gets connections no longer; let it listen later, so that it gets a socket", "addr", s.where(), "why", why)
		l.removeDoor(s)
	}
}

// claimed is called when a claim was answered.
func (l *Link) claimed(key, at string, err error) {
	l.read.Lock()
	defer l.read.Unlock()
	s := l.find(key)
	if l.failed != nil || s == nil {
		return // it is released by whoever ended it
	}
	if err != nil {
		l.drop(s, true)
		l.refuse(s, err)
		return
	}
	s.At = strings.TrimPrefix(at, "unix:")
	if !s.Demoted {
		l.addDoor(s)
	}
	l.answerDoor(s)
}

func (l *Link) addDoor(s *server) {
	l.write.Lock()
	defer l.write.Unlock()
	l.doors = append(l.doors, s.door())
}

func (l *Link) removeDoor(s *server) {
	l.write.Lock()
	defer l.write.Unlock()
	l.doors = slices.DeleteFunc(l.doors, func(d door) bool { return d.key == s.Key })
}

// address is what a door is told to be its address: where clients connect, but
// that a server which wants a port is not told another one. Node takes that for a
// port in use (checkBindError in lib/net.js).
func (s *server) address() netip.AddrPort {
	at, err := netip.ParseAddrPort(s.At)
	if err == nil && (s.Port == 0 || int(at.Port()) == s.Port) {
		return at
	}
	host, _, _ := net.SplitHostPort(s.Addr)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		ip = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(ip, uint16(s.Port))
}

// answerDoor tells a server's worker that connections will come. l.read is held.
func (l *Link) answerDoor(s *server) {
	s.Answered, l.refusal = true, ""
	answer := object{{"key", s.Key}, {"errno", nil}, {"data", l.hub.data(s.dataName())}}
	if s.Network != "unix" {
		at := s.address()
		family := "IPv6"
		if at.Addr().Is4() {
			family = "IPv4"
		}
		answer = append(answer, member{"sockname", object{{"address", at.Addr().String()}, {"family", family}, {"port", int(at.Port())}}})
	}
	l.reply(s.Seq, answer)
}

// share gives a server a socket. l.read is held.
func (l *Link) share(s *server) {
	s.Role, s.Answered = shared, true
	if l.helper.bindsItself() {
		l.reply(s.Seq, object{{"key", s.Key}, {"errno", 0}, {"data", nil}})
		return
	}
	fd, release, err := l.places.Open(s.Network, s.Addr, s.Nth)
	if err != nil {
		l.drop(s, true)
		l.refuse(s, err)
		return
	}
	s.release, l.refusal = func(bool) { release() }, ""
	data := l.hub.data(s.dataName())
	l.write.Lock()
	defer l.write.Unlock()
	l.seq++
	p := &parcel{ours: func() {}, at: time.Now()}
	p.FD = fd
	p.frame = l.nodeHandle(asListener(s.Network), object{{"cmd", cluster}, {"seq", l.seq}, {"ack", s.Seq}, {"key", s.Key}, {"errno", 0}, {"data", data}})
	l.parcels.push(p)
	l.advanceLocked()
}

// refuse tells a server that it can't listen. l.read is held.
func (l *Link) refuse(s *server, err error) {
	l.refusal = err.Error()
	l.log.Info("a server of the worker cannot listen", "addr", s.where(), "err", err) // the worker may make do without
	l.reply(s.Seq, object{{"key", s.Key}, {"errno", errno(err)}, {"data", nil}})
}

// errno is an error as libuv numbers it.
func errno(err error) int {
	var number syscall.Errno
	if errors.As(err, &number) {
		return -int(number)
	}
	return enotsup
}
