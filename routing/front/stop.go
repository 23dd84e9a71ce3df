package front

import (
	"context"
	"time"
)

// Stop closes the listeners, after accepting what is in their queues, lets
// connections that wait for a worker have one until ctx is done, and answers
// the others. It returns when nobody waits any more.
func (f *Front) Stop(ctx context.Context, listeners []*Listener) {
	stop := context.AfterFunc(ctx, f.end)
	defer stop()
	for _, ln := range listeners {
		ln.turnAway()
		f.sweep(ln)
		ln.Close()
	}
	f.waiters.giveUpHeads()
	f.waiters.wait()
	f.end()
	f.spare.Lock()
	defer f.spare.Unlock()
	f.spare.release()
}

// Close closes a listener while others go on. Unless the socket came by FromFD,
// no new client can connect from now on; who is connecting already, or has and said nothing yet, is served until ctx
// is done, and who is in the queue then is served as well. Serve, which must be
// running until ctx is done, returns nil. The listener must not be detached any
// more, and its address is free when Close returns.
//
// Without patience, and where the system is not Linux, a TCP client is reset that
// had not sent its request before.
func (f *Front) Close(ctx context.Context, ln *Listener) error {
	ln.turnAway()
	select {
	case <-ctx.Done():
	case <-f.ending.Done():
	}
	f.sweep(ln)
	return ln.Close()
}

// handshakeTime is how long clients are turned away whom another listener gets
// then: as long as a handshake takes that is under way, and less than the second
// after which who was turned away tries again (RFC 6298).
const handshakeTime = 500 * time.Millisecond

// letCome lets clients come to a listener that is to be closed until ctx is done.
// Close follows, when none should be left that has said nothing yet.
func (f *Front) letCome(ctx context.Context, ln *Listener) {
	ln.hearSilent()
	select {
	case <-ctx.Done():
	case <-f.ending.Done():
	}
}

// sweep accepts what clients have in a listener's queue: closing it would
// reset them. Out of descriptors it waits for some.
func (f *Front) sweep(ln *Listener) {
	r := f.newRound()
	for {
		err := f.accept(ln, r)
		switch {
		case err == nil:
		case outOfResources(err) && f.ending.Err() == nil && ln.pending():
			f.pause(err)
		default:
			return
		}
	}
}
