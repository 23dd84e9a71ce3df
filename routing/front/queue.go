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
	seen := f.queue(c, &q, ticket)
	if seen.verdict == refuse && f.frozen.Load() {
		f.kept.add(c, q)
		return
	}
	f.turnAway(c, seen)
}

// queue waits until a target has taken c, whose verdict is answered then, or its time
// is over, or its client gone.
func (f *Front) queue(c Conn, q *routing.Query, ticket *routing.Ticket) look {
	ctx, cancel := context.WithTimeout(f.ending, f.settings.Load().QueueTimeout)
	defer cancel()
	began := time.Now()
	for {
		if ticket == nil {
			if !f.sleep(ctx, retryPause) {
				return look{verdict: refuse, answer: noWorker}
			}
		} else if to, seen := f.redeem(ctx, c, q, ticket); seen.verdict != route {
			return seen
		} else if f.deliver(c, to, q, time.Since(began)) {
			return look{verdict: answered}
		}
		var to routing.Route
		if to, ticket = f.router.Route(*q); ticket == nil && f.deliver(c, to, q, time.Since(began)) {
			return look{verdict: answered}
		}
	}
}

// redeem waits for the ticket's route; the verdict is route if it came in time, and
// before c's client was gone. A parked ticket first has ParkTimeout for the
// registration of its session, which ctx does not cut short; then it is a ticket
// like any other.
func (f *Front) redeem(ctx context.Context, c Conn, q *routing.Query, t *routing.Ticket) (to routing.Route, seen look) {
	closed, forget := f.hangups.watch(c.FD, f.tasks.force)
	defer forget()
	stopping, done := f.stopping.Done(), ctx.Done()
	var late <-chan time.Time
	if t.Parked() {
		timer := time.NewTimer(f.settings.Load().ParkTimeout)
		defer timer.Stop()
		late, done = timer.C, f.ending.Done()
	}
	for {
		select {
		case to = <-t.Ready():
			q.Parked = q.Parked || t.Parked() // once is enough
			return to, look{verdict: route}
		case <-late:
			f.router.Unpark(t)
			late, done, q.Parked = nil, ctx.Done(), true
			continue
		case <-done:
			if late != nil && !f.frozen.Load() { // else the registration may come after the thaw
				f.router.Unpark(t)
				q.Parked = true
			}
			return f.expire(t)
		case <-closed:
		case <-stopping:
			stopping = nil
		}
		if seen = f.lookAfter(c); seen.verdict != wait {
			f.cancel(t)
			return to, seen
		}
	}
}

// expire gives up a ticket whose time is over, unless its route has come.
func (f *Front) expire(t *routing.Ticket) (to routing.Route, seen look) {
	to, came := f.router.Cancel(t)
	if came {
		return to, look{verdict: route}
	}
	return to, look{verdict: refuse, answer: noWorker}
}

// lookAfter returns wait while c's client may still want its answer. A client that
// has closed its half, behind a whole request, may: it goes on waiting. But nearly
// always it has closed the rest as well, so a stop does not wait for it.
func (f *Front) lookAfter(c Conn) look {
	half, all := hungUp(c.FD)
	switch {
	case all:
		return look{verdict: gone}
	case half && f.stopping.Err() != nil && !f.frozen.Load():
		return look{verdict: halfClosed, answer: stopping}
	case half && f.settings.Load().lacksHead(c):
		return look{verdict: gone}
	}
	return look{verdict: wait}
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
