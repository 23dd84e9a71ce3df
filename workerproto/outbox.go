package workerproto

import (
	"context"
	"errors"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// An outbox is frames on their way into a control socket, in order. Frames
// that wait together leave together: one send carries as many frames and
// descriptors as the kernel takes at once. It is not safe for concurrent use.
type outbox struct {
	conn  *fdpass.Conn
	queue []outgoing
	sent  int    // how many at the head of queue are gone
	rest  []byte // tail of a frame whose beginning was sent
	size  int    // bytes in queue and rest
	bulk  int    // of them, those of connections and published messages
	owing int    // connections in queue

	frames  []byte // where connections' frames are made; has room for more
	scratch []byte // the message being put together
	fds     []int
}

// An outgoing is an encoded frame and the descriptor that goes with it, -1 for
// none. The outbox borrows the descriptor until the frame has been sent.
type outgoing struct {
	bytes []byte
	fd    int
	bulk  bool // counts as such until it has begun to leave
}

// push pushes a frame, of a connection if there is a descriptor.
func (o *outbox) push(b []byte, fd int) { o.add(outgoing{bytes: b, fd: fd, bulk: fd >= 0}) }

// pushPage pushes a frame with a descriptor that is no connection's.
func (o *outbox) pushPage(b []byte, fd int) { o.add(outgoing{bytes: b, fd: fd}) }

func (o *outbox) add(f outgoing) {
	o.queue = append(o.queue, f)
	o.size += len(f.bytes)
	if !f.bulk {
		return
	}
	o.bulk += len(f.bytes)
	if f.fd >= 0 {
		o.owing++
	}
}

// framesSize is the size in bytes of the pieces in which room is made for
// connections' frames: nearly all of them are small.
const framesSize = 4 << 10

// pushConn pushes a CONN or RETURN. It allocates nothing where what was pushed
// before leaves soon.
func (o *outbox) pushConn(t Type, flags uint8, id uint64, replay []byte, fd int) {
	size := connSize + len(replay)
	if cap(o.frames)-len(o.frames) < size {
		o.frames = make([]byte, 0, max(size, framesSize))
	}
	at := len(o.frames)
	o.frames = appendConn(o.frames, t, flags, id, replay)
	o.push(o.frames[at:], fd)
}

// pushBulk pushes a frame of which there may be many megabytes.
func (o *outbox) pushBulk(b []byte) {
	o.add(outgoing{bytes: b, fd: -1, bulk: true})
}

// published returns how many bytes wait that others have published.
func (o *outbox) published() (n int) {
	for _, f := range o.queue[o.sent:] {
		if f.bulk && f.fd < 0 {
			n += len(f.bytes)
		}
	}
	return n
}

// flush sends what it can without waiting. A nil error means that all is sent;
// fdpass.ErrWouldBlock that the socket is full.
func (o *outbox) flush() error {
	for {
		if len(o.rest) > 0 {
			n, err := o.conn.TrySend(o.rest, nil)
			if err != nil {
				return err
			}
			o.rest = o.rest[n:]
			o.size -= n
			continue
		}
		if o.sent == len(o.queue) {
			o.empty()
			return nil
		}
		if err := o.sendMessage(); err != nil {
			return err
		}
	}
}

// keptQueue is how many frames' room is kept for later. A worker that has not
// read for a while has left room for many more.
const keptQueue = 1 << 10

// empty makes room anew when all has left.
func (o *outbox) empty() {
	if cap(o.queue) > keptQueue {
		o.queue = nil
	}
	if cap(o.frames) > framesSize {
		o.frames = nil
	}
	o.queue, o.sent, o.frames = o.queue[:0], 0, o.frames[:0]
}

// drop forgets what waits.
func (o *outbox) drop() {
	o.queue, o.sent, o.rest, o.size, o.bulk, o.owing = nil, 0, nil, 0, 0, 0
}

// sendMessage sends the frames at the head of the queue that fit one message.
func (o *outbox) sendMessage() error {
	o.scratch, o.fds = o.scratch[:0], o.fds[:0]
	count := 0
	for _, f := range o.queue[o.sent:] {
		if count > 0 && len(o.scratch)+len(f.bytes) > fdpass.MaxMessage || len(o.fds) == fdpass.MaxFDs {
			break
		}
		o.scratch = append(o.scratch, f.bytes...)
		if f.fd >= 0 {
			o.fds = append(o.fds, f.fd)
		}
		count++
	}
	setDescriptors(o.scratch, len(o.fds))
	n, err := o.conn.TrySend(o.scratch, o.fds)
	if err != nil {
		return err
	}
	o.size -= n
	if n < len(o.scratch) { // only a single frame larger than MaxMessage
		o.rest = append([]byte(nil), o.scratch[n:]...)
	}
	for _, f := range o.queue[o.sent : o.sent+count] {
		if f.bulk {
			o.bulk -= len(f.bytes)
			if f.fd >= 0 {
				o.owing--
			}
		}
	}
	clear(o.queue[o.sent : o.sent+count])
	if o.sent += count; 2*o.sent > cap(o.queue) {
		n := copy(o.queue, o.queue[o.sent:])
		clear(o.queue[n:])
		o.queue, o.sent = o.queue[:n], 0
	}
	return nil
}

// tooManyPause is the time between tries while this user has too many
// descriptors in flight: nothing announces that some were received.
const tooManyPause = 10 * time.Millisecond

// wait calls flush, which locks what it must, each time that it may get
// further, until it returns nil or an error other than fdpass.ErrWouldBlock,
// ctx is done, or the conn is closed.
func (o *outbox) wait(ctx context.Context, flush func() error) error {
	for {
		var err error
		waitErr := o.conn.OnWritable(ctx, func() poll.Next {
			err = flush()
			return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock) || errors.Is(err, fdpass.ErrTooManyInFlight))
		})
		if waitErr != nil {
			return waitErr
		}
		if !errors.Is(err, fdpass.ErrTooManyInFlight) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tooManyPause):
		}
	}
}
