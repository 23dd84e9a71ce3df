package workerproto

import (
	"encoding/binary"

	"github.com/stickyd/stickyd/fdpass"
)

// A frame as it came. body is valid until the stream's next receive.
type frame struct {
	kind  Type
	flags uint8
	body  []byte

	// fd is the descriptor that came with it; -1 where the frame announces
	// one that did not arrive, or announces none. The receiver owns it.
	fd int
}

// A stream turns what arrives on a control socket into frames and gives each
// its descriptor. It is not safe for concurrent use.
//
// Descriptors arrive with the first byte of the message that carried them,
// and the frame that begins the message says how many were sent. So a group
// belongs to the frame that begins in the receive that brought it, and where
// fewer came than were sent, it is the last frames of the group that go
// without (see package fdpass). Counting them off in order without knowing the
// groups would give one client's connection to another's frame.
type stream struct {
	conn *fdpass.Conn

	buf   []byte // received, not yet consumed: buf[start:]
	start int
	off   int64 // stream offset of buf[start]

	batches []batch // descriptors whose first frame was not yet reached
	group   []int   // descriptors of the group being given out
	missing int     // frames of the group still to come that have none
}

// A batch is the descriptors of one receive.
type batch struct {
	from, to int64 // stream offsets of the bytes received with them
	fds      []int
}

const receiveSize = 32 << 10

// receive reads once from the socket, without waiting, and returns how many
// bytes came. Frames are then read with next. Errors are fdpass's.
func (s *stream) receive() (int, error) {
	if s.start > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.start:])]
		s.start = 0
	}
	have := len(s.buf)
	if cap(s.buf)-have < receiveSize {
		s.buf = append(make([]byte, 0, 2*have+receiveSize), s.buf...)
	}
	n, fds, err := s.conn.TryReceive(s.buf[have:have+receiveSize], nil)
	s.buf = s.buf[:have+n]
	if len(fds) > 0 {
		from := s.off + int64(have)
		s.batches = append(s.batches, batch{from, from + int64(n), fds})
	}
	return n, err
}

// next returns the next whole frame that was received; ok is false when there
// is none yet. After an error the stream is of no use but to close it.
func (s *stream) next() (f frame, ok bool, err error) {
	if len(s.batches) > 0 && s.off >= s.batches[0].to {
		return frame{}, false, protocolErrorf("%d descriptors that no frame announced", len(s.batches[0].fds))
	}
	b := s.buf[s.start:]
	if len(b) < HeaderSize {
		return frame{}, false, nil
	}
	f = frame{kind: Type(b[0]), flags: b[1], fd: -1}
	length := int(binary.BigEndian.Uint32(b[4:]))
	if length > MaxBody {
		return frame{}, false, protocolErrorf("%s with a body of %d bytes, more than %d", f.kind, uint32(length), MaxBody)
	}
	if len(b) < HeaderSize+length {
		return frame{}, false, nil
	}
	if err := s.open(int(binary.BigEndian.Uint16(b[2:]))); err != nil {
		return frame{}, false, err
	}
	if f.flags&FlagDescriptor != 0 {
		if f.fd, err = s.take(f.kind); err != nil {
			return frame{}, false, err
		}
	}
	f.body = b[HeaderSize : HeaderSize+length]
	s.start += HeaderSize + length
	s.off += int64(HeaderSize + length)
	return f, true, nil
}

// open makes the n descriptors of the message that begins at the current frame
// the ones to give out.
func (s *stream) open(n int) error {
	if n == 0 {
		return nil
	}
	var got []int
	if len(s.batches) > 0 && s.off >= s.batches[0].from {
		got, s.batches = s.batches[0].fds, s.batches[1:]
	}
	if len(s.group)+s.missing > 0 {
		fdpass.CloseAll(got)
		return protocolErrorf("%d descriptors of a message that no frame owned", len(s.group)+s.missing)
	}
	if n > fdpass.MaxFDs || len(got) > n {
		fdpass.CloseAll(got)
		return protocolErrorf("a message announced %d descriptors and came with %d", n, len(got))
	}
	s.group, s.missing = got, n-len(got)
	return nil
}

// take returns the next descriptor of the group, or -1 for one that is missing.
func (s *stream) take(t Type) (int, error) {
	switch {
	case len(s.group) > 0:
		fd := s.group[0]
		s.group = s.group[1:]
		return fd, nil
	case s.missing > 0:
		s.missing--
		return -1, nil
	}
	return -1, protocolErrorf("%s owns a descriptor that its message did not announce", t)
}

// close closes the descriptors that no frame took. The socket stays open.
func (s *stream) close() {
	fdpass.CloseAll(s.group)
	for _, b := range s.batches {
		fdpass.CloseAll(b.fds)
	}
	s.group, s.batches = nil, nil
}
