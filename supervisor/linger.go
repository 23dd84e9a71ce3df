package supervisor

import (
	"syscall"
	"time"
)

// This file is about what a worker's process leaves behind when it ends: children
// in its group, which it did not wait for, and strays, which have left the group.
//
// Where the worker was asked to end they may be what matters: the shell of
// sh -c 'node app.js; true' dies of SIGTERM at once, and the server in it wants to
// save something. They get as much time as the worker itself. Strays, which the
// group's SIGTERM does not reach, get one of their own then, and not earlier: a
// worker may want to end them itself. Where the worker died unasked, or was killed,
// all are ended at once: a server without its launcher would hold the port, or
// whatever else its successor needs.

// lingerLook is the time between looks at what a worker has left behind.
const lingerLook = 50 * time.Millisecond

// onEnded: the worker's process has exited, and stays a zombie until it is let go,
// so that its number stays its group's.
func (sl *slot) onEnded() {
	w := sl.w
	switch sl.state {
	case finishing, stopping:
		sl.linger()
		return
	case starting, closed:
		if w.readyAt.IsZero() {
			w.behind = namesOf(sl.s.family(w))
		}
	}
	w.process.letGo()
}

// linger gives what the worker has left behind time to end.
func (sl *slot) linger() {
	w := sl.w
	behind := sl.s.family(w)
	if len(behind) == 0 {
		sl.letGo()
		return
	}
	if w.lingers { // it did before supervision was frozen
		sl.enter(stopping, lingerLook)
		return
	}
	w.lingers = true
	for _, p := range behind {
		if sl.state == finishing || p.group != w.PID { // else it was sent SIGTERM with the others
			p.signal(syscall.SIGTERM)
		}
	}
	if sl.state == finishing {
		w.until = time.Now().Add(sl.limits().StopTimeout)
	}
	w.log(sl.s.log).Info("worker's process has ended, what it started may finish",
		"left_behind", namesOf(behind), "stop_timeout", time.Until(w.until).Round(time.Millisecond))
	sl.enter(stopping, lingerLook)
}

// checkStopped kills a worker that does not stop in time, and lets one go that has
// left nothing behind any more.
func (sl *slot) checkStopped() {
	w := sl.w
	left := time.Until(w.until)
	switch {
	case left <= 0:
		w.log(sl.s.log).Warn("worker did not stop in time, killing it", "stop_timeout", sl.limits().StopTimeout)
		sl.kill()
	case !w.lingers:
		sl.enter(stopping, left)
	case len(sl.s.family(w)) == 0:
		sl.letGo()
		sl.enter(stopping, left)
	default:
		sl.enter(stopping, min(left, lingerLook))
	}
}

// letGo lets a worker end of which nothing is left but its own zombie.
func (sl *slot) letGo() {
	sl.w.survivor = offspring.lastOf(sl.w.PID)
	sl.w.process.letGo()
}
