package supervisor

import "time"

// This file looks at workers that do not become ready: have they opened a port
// themselves? An ordinary server does, and then one copy has the port and serves
// past us, and all others fail.

// startLook is the time between looks at a worker that is not ready.
const startLook = time.Second

// checkStarting is what is done about a worker that is not ready.
func (sl *slot) checkStarting() {
	w := sl.w
	left := time.Until(w.until)
	if left <= 0 {
		w.log(sl.s.log).Error("worker is not ready in time, killing it", "start_timeout", sl.limits().StartTimeout, "hint", sl.s.hint(w))
		w.fault = endNotReady
		sl.kill()
		return
	}
	if o := sl.s.lookForPort(w); o != nil {
		sl.servesPastUs(o)
	} else {
		sl.s.noteHint(w.Link.Hint())
	}
	sl.enter(starting, min(left, startLook))
}

// hint says what may be wrong with a worker that is not ready.
func (s *Supervisor) hint(w *Worker) string {
	if o := s.lookForPort(w); o != nil {
		return o.String() + ". " + o.hint()
	}
	return w.Link.Hint()
}

// servesPastUs tells people, and may be what ends everything. One on trial is
// nothing but a worker that does not become ready.
func (sl *slot) servesPastUs(o *opened) {
	if sl.s.warnOnce() {
		sl.w.log(sl.s.log).Warn("the worker has opened a port itself, so stickyd cannot pass connections to it",
			"listener", o.program.String(), "listens", o.where(), "hint", o.hint())
	}
	if sl.trial == nil {
		sl.s.noteOpened(sl.n, o)
	}
}

// lookForPort returns the port that a worker has opened in place of getting its
// connections from us; nil if there is none, or it may be for something else: a
// worker that has spoken to us, or is about to, may have a port for a debugger,
// unless it says that it serves past us.
func (s *Supervisor) lookForPort(w *Worker) *opened {
	said := ""
	if servesAlone(w.Link) {
		said = w.Link.Hint()
	} else if hasSpoken(w.Link) && (!isNodeLauncher(w.launch.Argv) || reachesServer(w.Link)) {
		return nil
	}
	for _, p := range s.programs(w) {
		if len(p.listens) == 0 {
			continue
		}
		isGo, isWorker := goProgram(p.pid)
		if !isWorker {
			return &opened{program: p, command: w.launch.Argv, isGo: isGo, said: said}
		}
	}
	return nil
}
