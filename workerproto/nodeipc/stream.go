package nodeipc

import "github.com/stickyd/stickyd/fdpass"

// A stream turns what arrives on a channel into frames. It is not safe for
// concurrent use.
//
// Which descriptor belongs to which frame needs no record of where each came:
// libuv sends one and then nothing before it is acknowledged.
type stream struct {
	conn  *fdpass.Conn
	codec codec

	buf      []byte // received; buf[start:] is not yet consumed
	start    int
	searched int   // how much of that is known to hold no end of a frame
	fds      []int // received, not yet taken
}

const (
	receiveSize = 64 << 10

	// idleBuffer is the size above which a buffer is not kept for later.
	idleBuffer = 1 << 20

	// maxLoose is how many descriptors may wait for their frames: more than
	// there can be.
	maxLoose = 8
)

// receive reads once from the socket, without waiting, and returns how many
// bytes came. Frames are then read with next. Errors are fdpass's.
func (s *stream) receive() (int, error) {
	s.compact()
	have := len(s.buf)
	if cap(s.buf)-have < receiveSize {
		s.buf = append(make([]byte, 0, 2*have+receiveSize), s.buf...)
	}
	n, fds, err := s.conn.TryReceive(s.buf[have:have+receiveSize], nil)
	s.buf = s.buf[:have+n]
	s.fds = append(s.fds, fds...)
	if len(s.fds) > maxLoose {
		return n, protocolErrorf("%d descriptors without a message", len(s.fds))
	}
	return n, err
}

// compact drops what was consumed.
func (s *stream) compact() {
	if s.start == 0 {
		return
	}
	rest := s.buf[s.start:]
	if len(rest) == 0 && cap(s.buf) > idleBuffer {
		s.buf = nil
	} else {
		s.buf = s.buf[:copy(s.buf, rest)]
	}
	s.start = 0
}

// next returns the next whole frame that was received; ok is false when there
// is none yet. The frame is valid until the next receive. After an error the
// stream is of no use but to close it.
func (s *stream) next() (frame []byte, ok bool, err error) {
	b := s.buf[s.start:]
	size, err := s.codec.frame(b, s.searched)
	if err != nil || size == 0 {
		s.searched = len(b)
		return nil, false, err
	}
	s.start += size
	s.searched = 0
	return b[:size], true, nil
}

// take returns the descriptor of the frame that was read last, which the
// caller owns; ok is false if it was lost on the way.
func (s *stream) take() (fd int, ok bool) {
	if len(s.fds) == 0 {
		return -1, false
	}
	fd = s.fds[0]
	s.fds = s.fds[1:]
	return fd, true
}

// close closes the descriptors that no frame took. The socket stays open.
func (s *stream) close() {
	fdpass.CloseAll(s.fds)
	s.fds = nil
}
