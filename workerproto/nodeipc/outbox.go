package nodeipc

import (
	"context"
	"errors"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// maxOutbox bounds in bytes what waits for a worker that does not read: some
// of the largest messages.
const maxOutbox = 2 * maxMessage

// maxFrozen bounds in bytes what of that a state has, beside the parcels: it is
// written and read while nobody is accepted, and each worker's has it anew.
const maxFrozen = 8 << 20

// An outbox is frames on their way into a channel, in order, each in a send of
// its own: the kernel ends a worker's read behind the one that brought a
// descriptor (see parcels). It is not safe for concurrent use.
type outbox struct {
	conn   *fdpass.Conn
	queue  []outgoing
	size   int   // bytes in queue
	pushed int64 // bytes that ever were in it
}

// An outgoing is a frame, or what is left of it, and the descriptor that goes
// with its first byte, -1 for none. Several outboxes may share bytes. The
// descriptor is borrowed until it has been sent.
type outgoing struct {
	bytes []byte
	fd    int
}

func (o *outbox) push(b []byte, fd int) {
	o.queue = append(o.queue, outgoing{b, fd})
	o.size += len(b)
	o.pushed += int64(len(b))
}

// flush sends what it can without waiting. A nil error means that all is sent;
// fdpass.ErrWouldBlock that the socket is full.
func (o *outbox) flush() error {
	for len(o.queue) > 0 {
		first := &o.queue[0]
		var fds []int
		if first.fd >= 0 {
			fds = []int{first.fd}
		}
		n, err := o.conn.TrySend(first.bytes, fds)
		if err != nil {
			return err
		}
		o.size -= n
		if first.bytes, first.fd = first.bytes[n:], -1; len(first.bytes) == 0 {
			o.queue[0] = outgoing{}
			o.queue = o.queue[1:]
		}
	}
	o.queue = nil
	return nil
}

// messages returns how many bytes wait that bring no descriptor.
func (o *outbox) messages() (n int) {
	for _, f := range o.queue {
		if f.fd < 0 {
			n += len(f.bytes)
		}
	}
	return n
}

// drop forgets what waits.
func (o *outbox) drop() { o.queue, o.size = nil, 0 }

// tooManyPause is the time between tries while this user has too many
// descriptors in flight: nothing announces that some were received.
const tooManyPause = 10 * time.Millisecond

// wait calls flush, which locks what it must, each time that it may get
// further, until it returns nil or an error other than fdpass.ErrWouldBlock,
// life ends, or the conn is closed.
func (o *outbox) wait(life context.Context, flush func() error) {
	for {
		var err error
		waitErr := o.conn.OnWritable(life, func() poll.Next {
			err = flush()
			return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock) || errors.Is(err, fdpass.ErrTooManyInFlight))
		})
		if waitErr != nil || !errors.Is(err, fdpass.ErrTooManyInFlight) {
			return
		}
		select {
		case <-life.Done():
			return
		case <-time.After(tooManyPause):
		}
	}
}
