package supervisor

import "time"

// This file is how a worker comes to an end that somebody wants: it drains, by
// session, it finishes what is open, and is asked to stop.

// An order is what a slot is told by others.
type order int

const (
	leave     order = iota // drain by session, and then be done
	vacateNow              // the same, without waiting for clients any longer
	takeRest               // drain by session, and then stay without a process
)

// order hands the slot an order; one that is done does not need it any more.
func (sl *slot) order(o order) { sl.tell(func() { sl.onOrder(o) }) }

// tell has run call f, unless it has returned, and waits for that.
func (sl *slot) tell(f func()) {
	told := make(chan struct{})
	select {
	case sl.orders <- func() { defer close(told); f() }:
		<-told
	case <-sl.gone:
	}
}

func (sl *slot) onOrder(o order) {
	sl.leaving, sl.rests = true, o == takeRest
	sl.publish(never)
	switch sl.state {
	case waiting:
		sl.s.log.Info("worker is not started again: its slot has another worker, or is to have none", "slot", sl.n)
		sl.vacate()
	case drained:
		sl.vacate()
	case starting, closed:
		sl.terminate()
	case ready:
		if o == vacateNow {
			sl.retire()
			sl.cutOff()
			return
		}
		sl.drain()
	case draining:
		if o == vacateNow {
			sl.cutOff()
		}
	case finishing:
		if o == vacateNow {
			sl.awaitFinish(min(finishGrace, time.Until(sl.w.until)))
		}
	}
}

// drain lets the worker's sessions come to their ends. It gets no new ones.
func (sl *slot) drain() {
	w, limit := sl.w, sl.limits().DrainTimeout
	sl.retire()
	w.until = time.Now().Add(limit)
	w.Link.Drain(limit, false)
	sessions, _ := w.client.Remaining()
	w.log(sl.s.log).Info("worker drains: it keeps its sessions and gets no new ones", "sessions", sessions, "drain_timeout", limit)
	sl.checkDrained()
}

const (
	// drainPause is the time between looks at a worker that drains, and
	// drainLooks how many in a row must find no session before connections of
	// none are left to end by themselves: a handshake may be under way.
	drainPause = 100 * time.Millisecond
	drainLooks = 10
)

// checkDrained goes on to finish when the worker has no session any more, or
// has had its time.
func (sl *slot) checkDrained() {
	w := sl.w
	if sl.checkHung() {
		return
	}
	left := time.Until(w.until)
	sessions, open := w.client.Remaining()
	if sessions > 0 {
		w.idle = 0
	} else {
		w.idle++
	}
	switch {
	case left <= 0:
		w.log(sl.s.log).Warn("sessions did not end in time", "drain_timeout", sl.limits().DrainTimeout, "sessions", sessions)
		sl.cutOff()
	case sessions == 0 && open == 0, w.idle >= drainLooks:
		w.log(sl.s.log).Debug("worker has no sessions any more")
		sl.finish(max(left, finishGrace))
	default:
		sl.enter(draining, min(left, drainPause))
	}
}

// finishGrace is how long a worker whose time is over still has to say so to
// its clients: to answer polls and to close WebSockets.
const finishGrace = 3 * time.Second

// cutOff ends what sessions the worker has. From here on they are unknown, so
// that their clients find another worker as soon as this one lets them go.
func (sl *slot) cutOff() {
	sl.w.lost += sl.w.client.Release()
	sl.finish(min(finishGrace, sl.limits().DrainTimeout))
}

// finish tells the worker that no connection comes any more.
func (sl *slot) finish(limit time.Duration) {
	sl.w.Link.Drain(limit, true)
	sl.awaitFinish(limit)
}

// awaitFinish gives the worker time to finish.
func (sl *slot) awaitFinish(limit time.Duration) {
	sl.w.until, sl.w.idle = time.Now().Add(limit), 0
	sl.enter(finishing, limit)
	sl.checkFinished()
}

// finishCheck is the time between looks at a worker that finishes, and finishLooks
// how many in a row must find no client: it may have something to save.
const (
	finishCheck = 250 * time.Millisecond
	finishLooks = 4
)

// checkFinished ends a worker that finishes when its time is over, or earlier if it
// has no client any more: a Node program lives for as long as any timer or socket
// of its own does, such as a cluster adapter's or a connection to a database. A
// native worker ends by itself, so it is left alone as long as it talks to us.
func (sl *slot) checkFinished() {
	w := sl.w
	left := time.Until(w.until)
	switch {
	case left <= 0:
		w.log(sl.s.log).Warn("worker did not finish in time, sending SIGTERM")
		sl.terminate()
		return
	case w.talks() && endsByItself(w.Link):
		sl.enter(finishing, left)
		return
	}
	if sl.countIdle(); w.idle >= finishLooks {
		w.log(sl.s.log).Debug("worker has finished, sending SIGTERM")
		sl.terminate()
		return
	}
	sl.enter(finishing, min(left, finishCheck))
}

// countIdle looks whether the worker has a client still.
func (sl *slot) countIdle() {
	w := sl.w
	held, at, err := sl.s.holdsClients(w)
	if err != nil {
		held = !w.knowsOfNone()
	}
	if held || w.talks() && w.untaken() {
		w.idle = 0
	} else if !at.Equal(w.looked) { // else it is the look that was counted before
		w.idle++
	}
	w.looked = at
}

// knowsOfNone reports whether the worker itself says that it has no client. Only a
// library of ours, which registers sessions in time, counts connections.
func (w *Worker) knowsOfNone() bool {
	if w.gone || w.Link.RegistersLate() {
		return false
	}
	sessions, open := w.client.Remaining()
	return sessions == 0 && open == 0
}

// why says in a few words what a slot waits for.
func (sl *slot) why() string {
	switch {
	case sl.state == draining:
		return "its sessions may end, or their time"
	case sl.state == drained:
		return "drained; stickyd restart brings it back"
	case sl.trial != nil && sl.state == ready:
		return "has to stay ready for a while"
	}
	return ""
}
