package front

import "context"

// Stop closes the listeners, after accepting what is in their queues, lets
// connections that wait for a worker have one until ctx is done, and answers
// the others: those whose clients have closed their half at once. It returns when
// nobody waits any more.
func (f *Front) Stop(ctx context.Context, listeners []*Listener) {
	f.stop()
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
	f.hangups.close()
	f.tasks.wait()
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
