package supervisor

import (
	"fmt"
	"maps"
	"syscall"
	"time"
)

// A Past is what became of the workers that a slot number had before. A worker's
// replacement inherits it.
type Past struct {
	Restarts int       // planned replacements: a rolling restart, a reload, or a limit of --recycle-*
	Crashes  int       // processes that crashed, hung and were killed, or never became ready
	Cause    string    // of the last crash; "" if there was none
	Died     time.Time // then
}

func (p *Past) crash(cause string) {
	p.Crashes++
	p.Cause, p.Died = cause, time.Now()
}

// An end is why a worker's process ended.
type end string

// The ends.
const (
	endStopped  end = "stopped"   // it was asked to
	endExit     end = "exit"      // by itself
	endSignal   end = "signal"    // of a signal that was not ours
	endMemory   end = "memory"    // killed by the kernel, since it used more than it may
	endHung     end = "hung"      // killed, since it took no connections
	endProtocol end = "protocol"  // killed, since it broke the protocol
	endNotReady end = "not_ready" // killed, since it did not get ready
	endLost     end = "upgrade"   // killed, since the conversation with it was lost in one
	endChannel  end = "channel"   // asked to end, since it closed its channel to us and went on
)

// faultTexts are what a worker's cause of death says where we killed it.
var faultTexts = map[end]string{
	endHung:     "hung and killed by stickyd",
	endProtocol: "broke the protocol and killed by stickyd",
	endNotReady: "not ready in time and killed by stickyd",
	endLost:     "lost in an upgrade and killed by stickyd",
}

// cause says how the process ended, and what for if we ended it.
func (w *Worker) cause() string {
	if text := faultTexts[w.fault]; text != "" {
		return text
	}
	cause := w.exit() + w.outOfMemory
	if w.fault == endChannel {
		cause = "closed its channel to stickyd and was stopped: " + cause
	}
	if w.daemonized() {
		cause += ", leaving " + w.behind + " in the background"
	}
	return cause
}

// daemonized reports whether the worker's process went away in good order and left
// others to do the work, before it had ever been ready.
func (w *Worker) daemonized() bool { return w.process.state.Success() && w.behind != "" }

// failure is what to remember of the worker's death.
func (w *Worker) failure() failure {
	return failure{cause: w.cause(), lines: w.last.get(), hint: w.deathHint()}
}

// exit says how the process ended. One that died of SIGTERM did not hear it: if
// others of its group went on, as the server under a shell does, it is they that
// matter, and so the last of them.
func (w *Worker) exit() string {
	status, _ := w.process.state.Sys().(syscall.WaitStatus)
	if last := w.survivor; last != nil && status.Signal() == syscall.SIGTERM {
		if last.Signaled() {
			return "signal: " + last.Signal().String()
		}
		return fmt.Sprint("exit status ", last.ExitStatus())
	}
	return w.process.state.String()
}

// end says which end the process had. wanted says that it was asked to.
func (w *Worker) end(wanted bool) end {
	status, _ := w.process.state.Sys().(syscall.WaitStatus)
	switch {
	case w.fault != "":
		return w.fault
	case w.outOfMemory != "":
		return endMemory
	case wanted:
		return endStopped
	case status.Signaled():
		return endSignal
	}
	return endExit
}

func (s *Supervisor) noteEnd(n int, e end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends[n] == nil {
		s.ends[n] = make(map[string]int64)
	}
	s.ends[n][string(e)]++
}

// Ends returns how often workers of each slot have ended, by cause.
func (s *Supervisor) Ends() map[int]map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[int]map[string]int64, len(s.ends))
	for n, ends := range s.ends {
		all[n] = maps.Clone(ends)
	}
	return all
}
