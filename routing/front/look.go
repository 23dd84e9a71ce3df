package front

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing/session"
)

// A verdict is what the peek found.
type verdict int

const (
	wait       verdict = iota // the head is not whole yet
	route                     // it is, or nothing need be known of it
	refuse                    // it never will be
	gone                      // the client is
	halfClosed                // the client may still read an answer of ours
	answered                  // and closed: nothing is left to do
)

// A look is what was seen of a connection. session points into the buffer
// that was looked into.
type look struct {
	verdict verdict
	session []byte
	source  *source // of session; nil: there is none
	client  netip.Addr
	answer  answer // of refuse and halfClosed
}

// newBuffer returns a buffer for look: room for a head, and for an id behind it.
func (s *settings) newBuffer() []byte {
	return make([]byte, s.HeadBytes+session.MaxID)
}

// look peeks at what c's client has sent so far, without waiting, and consumes
// nothing.
func (s *settings) look(c Conn, buf []byte) look {
	if !s.peeks {
		return look{verdict: route, client: s.client(c, nil)}
	}
	buf, id := buf[:s.HeadBytes], buf[s.HeadBytes:]
	n, peeked, err := c.peek(buf)
	head, status := session.ParseHead(buf[:n], s.needHead)
	switch {
	case status == session.Complete:
		seen := look{verdict: route, client: s.client(c, &head)}
		var i int
		if seen.session, i = s.Sessions.FromHead(id, &head); i >= 0 {
			seen.source = s.sources[i]
		} else if s.wantsClues() {
			s.note(buf[:n])
		}
		return seen
	case status == session.TLSHello && s.tls.Load():
		return look{verdict: route, client: s.client(c, &head)} // what is inside, nobody can see
	case status != session.Incomplete:
		return look{verdict: refuse, answer: answerTo(status)}
	case n == len(buf):
		return look{verdict: refuse, answer: tooLong(head)}
	case err == unix.EAGAIN || err == nil && peeked > 0:
		return look{verdict: wait}
	default:
		return look{verdict: gone}
	}
}

// peek copies into buf what the client has sent so far, without waiting. Of the n
// bytes the last are peeked: still in the kernel.
func (c *Conn) peek(buf []byte) (n, peeked int, err error) {
	if n = copy(buf, c.Replay); n < len(buf) {
		peeked, err = peek(c.FD, buf[n:])
	}
	return n + peeked, peeked, err
}

// client returns the address to balance by.
func (s *settings) client(c Conn, head *session.Head) netip.Addr {
	switch s.Client {
	case PeerAddress:
		return peerAddress(c.FD)
	case ForwardedFor:
		if a := forwardedClient(head, s.Trusted); a.IsValid() {
			return a
		}
		return peerAddress(c.FD)
	}
	return netip.Addr{}
}

// peerAddress returns the address of the other end, and for a Unix socket,
// whose clients have none, the zero address's.
func peerAddress(fd int) netip.Addr {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr)
	}
	return netip.IPv4Unspecified()
}
