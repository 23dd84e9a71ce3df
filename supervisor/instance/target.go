package instance

import (
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/workerproto"
)

// A target makes a worker a routing target: what the router decides goes to
// the worker's link, and what the worker says goes to the router.
type target struct {
	app    *app
	worker *supervisor.Worker
	member *routing.Member
	handed atomic.Int64
}

// Join is called by the supervisor for each new worker.
func (a *app) Join(w *supervisor.Worker) supervisor.Client {
	t := &target{app: a, worker: w}
	t.member = a.router.Join(routing.Seat{Slot: w.Slot, Generation: w.Generation, Window: w.Window()}, t)
	return t
}

// Hand is called by the front.
func (t *target) Hand(c front.Conn, session bool) error {
	err := t.worker.Link.Hand(workerproto.Connection{FD: c.FD, Replay: c.Replay, Refusals: c.Refusals, Session: session})
	if err == nil {
		t.handed.Add(1)
	}
	return err
}

// Flush is called by the front.
func (t *target) Flush() { t.worker.Link.Flush() }

func (t *target) Incarnation() uint32 { return uint32(t.member.Incarnation()) }

func (t *target) Ready() {
	t.app.listenByDefault()
	t.app.router.Add(t.member, t.worker.Link.RegistersLate())
	t.app.manager.Ready() // whoever waits for that can connect
	t.app.log.Ready(t.worker.Slot, t.worker.PID)
}

func (t *target) Draining() { t.app.router.Retire(t.member) }

func (t *target) Gone(untaken []workerproto.Connection) (sessions int) {
	sessions = t.remove()
	for _, c := range untaken {
		t.reroute(c, false)
	}
	return sessions
}

func (t *target) Remaining() (sessions, open int) { return t.app.router.Remaining(t.member) }

func (t *target) Connections() int64 { return t.handed.Load() }

func (t *target) Release() (sessions int) { return t.remove() }

func (t *target) Unreachable() {
	t.app.log.Warn("a worker takes no connections until it listens again", "slot", t.worker.Slot, "pid", t.worker.PID)
	t.app.router.Away(t.member, true)
}

func (t *target) Reachable() {
	t.app.log.Info("a worker takes connections again", "slot", t.worker.Slot, "pid", t.worker.PID)
	t.app.router.Away(t.member, false)
}

// remove takes the worker out of the router, once, and returns how many sessions
// that costs.
func (t *target) remove() (sessions int) {
	now := time.Now()
	sessions = t.app.router.Remove(t.member, now)
	if sessions > 0 {
		t.app.dead.add(t.Incarnation(), deadWorker{t.worker.PID, now})
		select {
		case t.app.sweep <- struct{}{}:
		default:
		}
	}
	return sessions
}

func (t *target) Bind(id []byte) bool {
	// Only now it shows whether the worker registers late.
	t.app.router.SetLate(t.member, t.worker.Link.RegistersLate())
	err := t.app.router.Bind(t.member, id)
	if err != nil {
		// A session id is a credential: no log gets it whole.
		t.app.log.Warn("session refused", "slot", t.worker.Slot, "pid", t.worker.PID, "id", string(id[:min(4, len(id)/4)])+"…", "err", err)
	}
	return err == nil
}

func (t *target) Unbind(id []byte) { t.app.router.Unbind(t.member, id) }
func (t *target) Taken(n int)      { t.app.router.Taken(t.member, n) }
func (t *target) Settled(n int)    { t.app.router.Settled(t.member, n) }

func (t *target) Leaving() { t.app.router.Retire(t.member) }

func (t *target) Returned(c workerproto.Connection) { t.reroute(c, true) }

func (t *target) Declined(c workerproto.Connection) {
	t.app.router.Release(routing.Route{Member: t.member, Session: c.Session})
	t.reroute(c, false)
}

func (t *target) reroute(c workerproto.Connection, returned bool) {
	t.app.front.Reroute(front.Conn{FD: c.FD, Replay: c.Replay, Refusals: c.Refusals}, t.member, returned)
}
