package nodeipc

import (
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/stickyd/stickyd/fdpass"
)

// A role is what a server of the worker is given when it wants to listen.
type role string

const (
	undecided role = ""       // it waits for an answer
	doorRole  role = "door"   // clients' connections, through the channel
	shared    role = "shared" // a socket of its own, which all workers share
)

// A server is one of the worker that listens, or wants to.
type server struct {
	listen
	Role role
	At   string          // a door's: where clients connect, "ip:port", or "" where that is a Unix socket
	Data json.RawMessage `json:",omitempty"` // of a state: what it has in common with its like, see Hub.keepData

	Demoted   bool // a door that gets no connections after all
	Answered  bool // the worker knows what it is given
	Listening bool // it has said that it listens
	Open      bool // and did not close again in the same moment

	release func(closed bool) // gives up what it was given; nil: nothing yet
}

// find returns the server with that key, nil if there is none. l.read is held.
func (l *Link) find(key string) *server {
	i := slices.IndexFunc(l.servers, func(s *server) bool { return s.Key == key })
	if i < 0 {
		return nil
	}
	return l.servers[i]
}

// count returns how many servers are of that role. l.read is held.
func (l *Link) count(r role) (n int) {
	for _, s := range l.servers {
		if s.Role == r {
			n++
		}
	}
	return n
}

// drop forgets a server and gives up what it was given. closed says that the
// worker has closed it, and did not just end. l.read is held.
func (l *Link) drop(s *server, closed bool) {
	l.servers = slices.DeleteFunc(l.servers, func(other *server) bool { return other == s })
	if s.Role == doorRole {
		l.removeDoor(s)
	}
	if s.release != nil {
		s.release(closed)
	}
}

// dropAll: the conversation has ended. l.read is held.
func (l *Link) dropAll() {
	for len(l.servers) > 0 {
		l.drop(l.servers[0], false)
	}
}

// A door is a server that gets connections, by where clients connect.
type door struct {
	key  string
	ip   netip.Addr // the zero Addr for a Unix socket
	port uint16
	path string
}

func (s *server) door() door {
	d := door{key: s.Key}
	if s.Network == "unix" {
		d.path = s.Addr
	}
	if at, err := netip.ParseAddrPort(s.At); err == nil {
		d.ip, d.port = at.Addr().Unmap(), at.Port()
	}
	return d
}

// doorForLocked returns the key of the door that a connection is for, "" if
// there is none. Where there are several, the connection's own end says which
// address its client has come to; one that came to none of theirs is for the
// first.
func (l *Link) doorForLocked(fd int) string {
	switch len(l.doors) {
	case 0:
		return ""
	case 1:
		return l.doors[0].key
	}
	at, path, err := fdpass.LocalAddr(fd)
	if err != nil {
		return l.doors[0].key
	}
	best, most := l.doors[0].key, 0
	for _, d := range l.doors {
		if n := d.fits(at, path); n > most {
			best, most = d.key, n
		}
	}
	return best
}

// How well a door fits a connection.
const (
	samePort   = 1
	sameFamily = 2 // all addresses of the family
	sameAddr   = 3
)

// fits says how well the door fits a connection that came to an address, or to the
// path of a Unix socket.
func (d door) fits(at netip.AddrPort, path string) int {
	switch {
	case !at.IsValid():
		return map[bool]int{true: sameAddr}[d.path != "" && d.path == path]
	case !d.ip.IsValid() || d.port != at.Port():
		return 0
	case d.ip == at.Addr():
		return sameAddr
	case d.ip.IsUnspecified() && d.ip.Is4() == at.Addr().Is4():
		return sameFamily
	}
	return samePort
}
