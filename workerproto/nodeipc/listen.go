package nodeipc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Servers of the worker that listen ask for a socket (queryServer). One of them
// gets the clients' connections, through the channel, as under round robin in
// Node, and has no socket of its own. It is called the door. All others get a
// socket that all workers share, as Node itself has it for UDP and without
// round robin.
//
// Which is the door?
//
//   - The one that listens where stickyd does.
//   - None, if setupWorker was called: connections come through that.
//   - Else the first. Whether setupWorker was called is what probes find out
//     (probe.go), so this is decided after two that were not answered.

// A listen is the wish of a server in the worker.
type listen struct {
	Seq     int    // the worker's number of the message that says so
	Key     string // our name for the server, for both sides
	Name    string // what the worker calls it later
	Network string // as package net has it; "" for what stickyd can't open
	Addr    string
	Nth     int // among those of this worker that are alike
	Port    int
	Host    string
	Is6     bool
	Probes  int // that came to the worker after it and were not answered
}

// A sharedSocket is a server's own, by what it was opened with.
type sharedSocket struct {
	Network, Addr string
	Nth           int
	release       func() // gives it up
}

// enotsup is what a server is told that listens on what stickyd can't open, as
// libuv has it.
const enotsup = -95

const (
	// maxShared bounds the sockets of a worker, which are descriptors of
	// stickyd's, and the servers that wait for one.
	maxShared = 256

	// maxListenName bounds what is kept of a server in bytes: a path that can be
	// listened on is far shorter.
	maxListenName = 1 << 10
)

// ipv6Only is the flag for no IPv4 (UV_TCP_IPV6ONLY, UV_UDP_IPV6ONLY in uv.h).
const ipv6Only = 1

func parseListen(m object, seq int) listen {
	q := listen{Seq: seq, Host: m.text("address"), Name: listenName(m)}
	if text := m.text("port"); text != "" { // dgram passes on what it was given
		q.Port, _ = strconv.Atoi(text)
	} else {
		q.Port, _ = m.number("port")
	}
	q.Nth, _ = m.number("index")
	q.Key = fmt.Sprintf("%s:%d", q.Name, seq)
	q.Addr = net.JoinHostPort(q.Host, strconv.Itoa(q.Port))
	flags, _ := m.number("flags")
	only := flags&ipv6Only != 0
	version, _ := m.number("addressType")
	switch kind := m.text("addressType"); {
	case version == 4 && q.Host == "": // any address
		q.Network = "tcp"
	case version == 4:
		q.Network = "tcp4"
	case version == 6:
		q.Is6 = true
		q.Network = map[bool]string{false: "tcp", true: "tcp6"}[only]
	case version == -1:
		q.Network, q.Addr = "unix", q.Host
	case kind == "udp4":
		q.Network = "udp4"
	case kind == "udp6":
		q.Network = map[bool]string{false: "udp", true: "udp6"}[only]
	}
	if q.Network != "unix" && !isAddress(q.Host) || len(q.Name) > maxListenName {
		q.Network = ""
	}
	return q
}

// isAddress says whether nothing has to be looked up, which would take time:
// Node has done that.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == ""
}

// listenName is what a worker's messages about one server have in common.
func listenName(m object) string {
	return fmt.Sprintf("%v %v %v %v", m.get("address"), m.get("port"), m.get("addressType"), m.get("index"))
}

// mayBeDoor says whether connections can be handed to the server.
func (q listen) mayBeDoor() bool { return q.Network != "" && q.Network[:3] != "udp" }

// where is the address as stickyd writes it.
func (q listen) where() string {
	if q.Network == "unix" {
		return "unix:" + q.Addr
	}
	return q.Addr
}

// handleListen answers a server's wish, at once or when it is decided what it
// is. l.read is held.
func (l *Link) handleListen(m object, seq int) {
	q := parseListen(m, seq)
	switch {
	case q.Network == "":
		l.log.Warn("a server of the worker wants to listen on what stickyd cannot open", "host", q.Host, "fd", m.get("fd"))
		l.reply(seq, object{{"key", q.Key}, {"errno", enotsup}, {"data", nil}})
	case !q.mayBeDoor():
		l.share(q)
	case l.owns(q.where()) && !l.certain:
		l.certain = true
		l.makeDoor(q)
	case l.ready || l.hasDoor():
		l.share(q)
	case len(l.undecided) == maxShared:
		l.refuse(q, fmt.Errorf("%d others of the worker wait for a socket: %w", maxShared, syscall.EMFILE))
	default:
		if l.undecided = append(l.undecided, q); len(l.undecided) == 1 && l.hurry != nil {
			l.hurry() // the probe that is out says nothing of it
		}
	}
}

// decide is called when that many undecided servers had asked before a probe
// that was not answered. l.read is held.
func (l *Link) decide(asked int) {
	if l.failed != nil || asked == 0 || len(l.undecided) < asked {
		return
	}
	for i := range l.undecided[:asked] {
		l.undecided[i].Probes++
	}
	if first := l.undecided[0]; first.Probes == 2 {
		l.undecided = l.undecided[1:]
		l.makeDoor(first)
	}
}

// makeDoor lets a server have the clients' connections, and all others sockets
// of their own. l.read is held.
func (l *Link) makeDoor(q listen) {
	l.write.Lock()
	instead := l.door
	l.door, l.doorName = q.Key, q.Name
	l.write.Unlock()
	if instead != "" {
		l.log.Warn("a server that listened earlier was taken for the one that gets the connections, and gets none any more: "+
			"let it listen later, so that it gets a socket", "now", q.where())
	}
	l.listens(q.where())
	answer := object{{"key", q.Key}, {"errno", nil}, {"data", nil}}
	if q.Network != "unix" {
		family := "IPv4"
		if q.Is6 {
			family = "IPv6"
		}
		answer = append(answer, member{"sockname", object{{"address", q.Host}, {"family", family}, {"port", q.Port}}})
	}
	l.reply(q.Seq, answer)
	l.shareUndecided()
}

// shareUndecided: there is a door, or none is needed. l.read is held.
func (l *Link) shareUndecided() {
	if l.failed != nil {
		return // what is pushed now is never sent, nor closed
	}
	undecided := l.undecided
	l.undecided = nil
	for _, q := range undecided {
		l.share(q)
	}
}

// share gives a server a socket. l.read is held.
func (l *Link) share(q listen) {
	fd, release, err := l.openShared(q)
	if err != nil {
		l.refuse(q, err)
		return
	}
	l.shared[q.Key] = sharedSocket{q.Network, q.Addr, q.Nth, release}
	l.write.Lock()
	defer l.write.Unlock()
	l.seq++
	p := &parcel{probed: make(chan struct{}), at: time.Now()}
	p.FD = fd
	p.frame = l.nodeHandle(netNative, object{{"cmd", "NODE_CLUSTER"}, {"seq", l.seq}, {"ack", q.Seq}, {"key", q.Key}, {"errno", 0}, {"data", nil}})
	l.parcels.push(p)
	l.advanceLocked()
}

func (l *Link) refuse(q listen, err error) {
	l.log.Warn("a server of the worker cannot listen", "err", err)
	l.reply(q.Seq, object{{"key", q.Key}, {"errno", errno(err)}, {"data", nil}})
}

func (l *Link) openShared(q listen) (fd int, release func(), err error) {
	if len(l.shared) == maxShared {
		return -1, nil, fmt.Errorf("it has %d sockets already: %w", maxShared, syscall.EMFILE)
	}
	return l.open(q.Network, q.Addr, q.Nth)
}

// errno is an error as libuv numbers it.
func errno(err error) int {
	var number syscall.Errno
	if errors.As(err, &number) {
		return -int(number)
	}
	return enotsup
}

// unshare gives up the socket of a server, if it has one. l.read is held.
func (l *Link) unshare(key string) (had bool) {
	socket, had := l.shared[key]
	if had {
		delete(l.shared, key)
		socket.release()
	}
	return had
}

// unshareAll: the conversation has ended. l.read is held.
func (l *Link) unshareAll() {
	for key := range l.shared {
		l.unshare(key)
	}
}

func (l *Link) hasDoor() bool {
	l.write.Lock()
	defer l.write.Unlock()
	return l.door != ""
}
