package nodeipc

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// A listen is the wish of a server in the worker (queryServer).
type listen struct {
	Seq     int    // the worker's number of the message that says so
	Key     string // our name for the server, for both sides
	Name    string // what the worker calls it, but for its port
	Network string // as package net has it; "" for what stickyd can't open
	Addr    string
	Nth     int // among those of this worker that are alike
	Port    int
	TLS     bool // what clients send is TLS
	Probes  int  // that came to the worker after it and were not answered
}

const (
	// maxServers bounds the servers of a worker, of which most are descriptors of
	// stickyd's.
	maxServers = 256

	// maxListenName bounds what is kept of a server in bytes: a path that can be
	// listened on is far shorter.
	maxListenName = 1 << 10
)

// ipv6Only is the flag for no IPv4: UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY in
// libuv's uv.h. Deno gives it another number, which is UV_TCP_REUSEPORT in Node.
func ipv6Only(flags int, runtime string) bool {
	if runtime == deno {
		return flags&2 != 0
	}
	return flags&1 != 0
}

func parseListen(m object, seq int, runtime string) listen {
	q := listen{Seq: seq, Name: listenName(m)}
	host := m.text("address")
	q.Port = listenPort(m)
	q.Nth, _ = m.number("index")
	q.Key = fmt.Sprintf("%s:%d:%d", q.Name, q.Port, seq)
	q.Addr = net.JoinHostPort(host, strconv.Itoa(q.Port))
	q.TLS = m.inner("data").get("ticketKeys") != nil
	flags, _ := m.number("flags")
	version, _ := m.number("addressType")
	switch kind := m.text("addressType"); {
	case version == 4 && host == "": // any address
		q.Network = "tcp"
	case version == 4:
		q.Network = "tcp4"
	case version == 6:
		q.Network = map[bool]string{false: "tcp", true: "tcp6"}[ipv6Only(flags, runtime)]
	case version == -1:
		q.Network, q.Addr = "unix", host
	case kind == "udp4":
		q.Network = "udp4"
	case kind == "udp6":
		q.Network = map[bool]string{false: "udp", true: "udp6"}[ipv6Only(flags, runtime)]
	}
	if q.Network != "unix" && !isAddress(host) || len(q.Name) > maxListenName {
		q.Network = ""
	}
	return q
}

// listenPort is a message's port: dgram passes on what it was given, which may
// be text.
func listenPort(m object) (port int) {
	if text := m.text("port"); text != "" {
		port, _ = strconv.Atoi(text)
	} else {
		port, _ = m.number("port")
	}
	return port
}

// isAddress says whether nothing has to be looked up, which would take time:
// Node has done that.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == ""
}

// listenName is what a worker's messages about one server have in common. (The
// port that it asked for may not be the one that it got.)
func listenName(m object) string {
	return fmt.Sprintf("%v %v %v", m.get("address"), m.get("addressType"), m.get("index"))
}

// isStream says whether connections can be handed to the server.
func (q *listen) isStream() bool { return q.Network != "" && q.Network[:3] != "udp" }

// dataName tells apart what servers have in common with their like in other
// workers.
func (q *listen) dataName() string { return fmt.Sprintf("%s %d", q.Name, q.Port) }

// where is the address as stickyd writes it.
func (q *listen) where() string {
	if q.Network == "unix" {
		return "unix:" + q.Addr
	}
	return q.Addr
}

// is reports whether a message with that name and port is about the server, to
// which clients come at the address at.
func (q *listen) is(name string, port int, at string) bool {
	if q.Name != name {
		return false
	}
	bound, err := netip.ParseAddrPort(at)
	return port == q.Port || err == nil && port == int(bound.Port())
}
