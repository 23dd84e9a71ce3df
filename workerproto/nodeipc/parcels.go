package nodeipc

import (
	"slices"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// A parcel is a NODE_HANDLE message and its descriptor. The worker answers each
// with an ACK or a NACK, which name none: they answer the parcels in order.
type parcel struct {
	workerproto.Connection // its FD goes with the frame; of one of ours that is all of it

	frame []byte
	seq   int    // the worker says by it whether it accepted the connection; 0: the ACK is all
	door  string // key of the server that it is for, "" if for none
	end   int64  // where in the stream the frame ends; set when it is sent
	nacks int
	at    time.Time // when Flush sent it, or would have; zero before

	// ours is called, with read held, when the worker has a descriptor that is no
	// client's, or never will; nil for a client's connection.
	ours func()
}

// Parcels are those on their way to a worker, in order: first the ones that
// were sent and not acknowledged, then the ones that are held back.
//
// Sending several before the first is acknowledged is fast, and careless:
// libuv keeps one received descriptor for the next NODE_HANDLE message that is
// complete (uv__stream_recv_cmsg and uv_accept; channel.pendingHandle in
// lib/internal/child_process.js). If the read that brought one parcel's
// descriptor ends inside its message, the next parcel's descriptor takes its
// place, and one client's connection is served as another's. The kernel ends
// a read behind a piece that carried a descriptor, so this happens only where
// a message is longer than one piece, or where a read of 64 KiB, filled by
// what was sent before, ends inside. Hence the two limits in mayGo. They were
// measured with Node 18 to 26; Node itself sends one at a time.
//
// Deno gives a descriptor to the first message of the read that brought it, and
// loses it where that is a message before the parcel's. There a parcel waits
// until what was sent before it has been read (apart).
type parcels struct {
	queue []*parcel
	sent  int   // how many of queue
	acked int64 // the worker has read the stream up to here, at least
	plain int64 // where the last message without a descriptor ends
	apart bool  // no descriptor may come behind such a message before that was read
}

const (
	pipelinedMessage = 8 << 10
	pipelinedBytes   = 64 << 10
	maxNacks         = 3 // then a parcel is not sent again
)

// next returns the next parcel to send, whose frame will begin at that place
// in the stream, nil if there is none or it has to wait.
func (q *parcels) next(at int64) *parcel {
	if q.sent == len(q.queue) || !q.mayGo(q.queue[q.sent], at) {
		return nil
	}
	p := q.queue[q.sent]
	p.end = at + int64(len(p.frame))
	q.sent++
	return p
}

func (q *parcels) mayGo(p *parcel, at int64) bool {
	if q.sent == 0 {
		return true
	}
	return len(q.queue[0].frame) <= pipelinedMessage && len(p.frame) <= pipelinedMessage &&
		at+int64(len(p.frame))-q.acked <= pipelinedBytes
}

// mustAsk reports whether a parcel has to wait until the worker has read what was
// sent, as far as that is not known.
func (q *parcels) mustAsk() bool { return q.apart && q.sent < len(q.queue) && q.plain > q.acked }

func (q *parcels) push(p *parcel) { q.queue = append(q.queue, p) }

// answered takes out the parcel that an ACK or NACK is about, nil if it is
// about none.
func (q *parcels) answered() *parcel {
	if q.sent == 0 {
		return nil
	}
	p := q.queue[0]
	q.queue = slices.Delete(q.queue, 0, 1)
	q.sent--
	q.acked = p.end
	return p
}

// upTo takes out the parcel with that number, which was sent, as the last of those
// that it returns: the ones before it were sent, too. The worker speaks of it
// though no ACK was left for it, so that one of theirs was lost.
func (q *parcels) upTo(seq int) (all []*parcel, ok bool) {
	i := slices.IndexFunc(q.queue[:q.sent], func(p *parcel) bool { return p.seq == seq })
	if i < 0 {
		return nil, false
	}
	all = slices.Clone(q.queue[:i+1])
	q.queue = slices.Delete(q.queue, 0, i+1)
	q.sent -= i + 1
	q.acked = all[i].end
	return all, true
}

// again puts p in front of those that are held back.
func (q *parcels) again(p *parcel) { q.queue = slices.Insert(q.queue, q.sent, p) }

// held takes out those for that door that were not sent.
func (q *parcels) held(door string) (held []*parcel) {
	rest := slices.Clone(q.queue[:q.sent])
	for _, p := range q.queue[q.sent:] {
		if p.door == door {
			held = append(held, p)
		} else {
			rest = append(rest, p)
		}
	}
	q.queue = rest
	return held
}

// all takes out all.
func (q *parcels) all() []*parcel {
	all := q.queue
	q.queue, q.sent = nil, 0
	return all
}
