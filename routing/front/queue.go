package front

import (
	"context"
	"time"

	"github.com/stickyd/stickyd/routing"
)

const (
	// retryPause is the time before a connection is routed again whose target
	// would not take it: it is about to be removed.
	retryPause = 5 * time.Millisecond

	// maxRefusals is how often a connection is routed again after a target
	// could not take it.
	maxRefusals = 8
)

// awaitTarget waits for a target that takes c. ticket is nil if a first one
// has refused already.
func (f *Front) awaitTarget(c Conn, q routing.Query, ticket *routing.Ticket) {
	switch {
	case f.queue(c, &q, ticket):
	case f.frozen.Load():
		f.kept.add(c, q)
	default:
		f.turnAway(c, look{verdict: refuse, answer: noWorker})
	}
}

// queue reports whether a target has taken c in time.
func (f *Front) queue(c Conn, q *routing.Query, ticket *routing.Ticket) bool {
	ctx, cancel := context.WithTimeout(f.ending, f.settings.Load().QueueTimeout)
	defer cancel()
	began := time.Now()
	for {
		if ticket == nil {
			if !f.sleep(ctx, retryPause) {
				return false
			}
		} else if to, ok := f.redeem(ctx, q, ticket); !ok {
			return false
		} else if f.deliver(c, to, q, time.Since(began)) {
			return true
		}
		var to routing.Route
		if to, ticket = f.router.Route(*q); ticket == nil && f.deliver(c, to, q, time.Since(began)) {
			return true
		}
	}
}

// redeem waits for the ticket's route; ok is false if it comes too late.
func (f *Front) redeem(ctx context.Context, q *routing.Query, t *routing.Ticket) (to routing.Route, ok bool) {
	if t.Parked() {
		to, ok = f.awaitRegistration(t)
		q.Parked = !f.frozen.Load() // once is enough, if it was not cut short
		if ok {
			return to, true
		}
	}
	select {
	case to = <-t.Ready():
		return to, true
	case <-ctx.Done():
		return f.router.Cancel(t)
	}
}

// awaitRegistration waits until the session of a parked connection is
// registered, or has had its time to be. If no route has come by then, the
// ticket is one as any other.
func (f *Front) awaitRegistration(t *routing.Ticket) (to routing.Route, came bool) {
	timer := time.NewTimer(f.settings.Load().ParkTimeout)
	defer timer.Stop()
	select {
	case to = <-t.Ready():
		return to, true
	case <-timer.C:
	case <-f.ending.Done():
		if f.frozen.Load() {
			return routing.Route{}, false // the registration may come after the thaw
		}
	}
	f.router.Unpark(t)
	return routing.Route{}, false
}

// cancel gives up a ticket, if there is one.
func (f *Front) cancel(t *routing.Ticket) {
	if t == nil {
		return
	}
	if to, came := f.router.Cancel(t); came {
		f.router.Release(to)
	}
}

// sleep reports whether there is time left after d.
func (f *Front) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
