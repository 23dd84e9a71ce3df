package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
)

// A state is what a slot is doing. The table in the package's doc shows which
// event leads where.
type state int

const (
	waiting state = iota
	starting
	ready
	dumping
	draining
	stopping
	killing
	done
)

// A slot is a seat for one worker at a time. Its fields belong to run, but for
// status.
type slot struct {
	s *Supervisor
	n int

	state  state
	since  time.Time
	w      *Worker // nil while waiting and when done
	starts int     // of processes, ever, also of those that came to nothing
	deaths int     // in a row
	cause  string  // how the last process ended
	timer  *time.Timer

	status atomic.Pointer[SlotStatus]
}

func newSlot(s *Supervisor, n int) *slot {
	sl := &slot{s: s, n: n, since: time.Now()}
	sl.publish(0)
	return sl
}

// run owns the slot from the first spawn until it is done.
func (sl *slot) run() {
	sl.timer = time.NewTimer(0)
	defer sl.timer.Stop()
	stop, kill := sl.s.stopping.Done(), sl.s.killing.Done()
	for sl.state != done {
		var events chan event
		if sl.w != nil {
			events = sl.w.events
		}
		select {
		case <-kill:
			kill = nil
			sl.onKill()
		case <-stop:
			stop = nil
			sl.onStop()
		case e := <-events:
			sl.onEvent(e)
		case <-sl.timer.C:
			sl.onTimer()
		}
	}
}

func (sl *slot) onEvent(e event) {
	switch e.kind {
	case becameReady:
		sl.onReady()
	case linkEnded:
		sl.onLinkEnded(e.err)
	case exited:
		sl.onExited()
	}
}

// enter changes the state; the timer event comes after d, or never if d is
// negative.
func (sl *slot) enter(next state, d time.Duration) {
	if next != sl.state {
		sl.state, sl.since = next, time.Now()
	}
	sl.publish(d)
	sl.timer.Stop()
	if d >= 0 {
		sl.timer.Reset(d)
	}
}

const (
	never       = -1
	stillThere  = 10 * time.Second // between complaints about one that SIGKILL does not end
	hangChecks  = 8                // how often in HangTimeout a worker is looked at
	hangSoonest = 20 * time.Millisecond
)

func (sl *slot) onTimer() {
	w := sl.w
	switch sl.state {
	case waiting:
		sl.spawn()
	case starting:
		w.log(sl.s.log).Error("worker is not ready in time, killing it",
			"start_timeout", sl.s.spec.StartTimeout, "hint", w.Link.Hint())
		w.fault = fmt.Sprintf("not ready within %v and killed by stickyd", sl.s.spec.StartTimeout)
		sl.kill()
	case ready:
		sl.checkHung()
	case dumping:
		sl.kill()
	case draining:
		sl.checkDrained()
	case stopping:
		w.log(sl.s.log).Warn("worker did not stop in time, killing it", "stop_timeout", sl.s.spec.StopTimeout)
		sl.kill()
	case killing:
		w.log(sl.s.log).Error("worker is still there after SIGKILL")
		sl.enter(killing, stillThere)
	}
}

// spawn starts the next process.
func (sl *slot) spawn() {
	s := sl.s
	sl.starts++
	w := &Worker{Slot: sl.n, started: time.Now(), events: make(chan event, maxEvents)}
	w.stdout = output{worker: w, stream: logs.Stdout}
	w.stderr = output{worker: w, stream: logs.Stderr}
	w.client = s.clientOf(w)
	w.terms = workerproto.Terms{
		Slot: sl.n, Workers: s.spec.Workers, Incarnation: w.client.Incarnation(),
		Window: s.spec.Window, Sessions: s.spec.Sessions,
	}
	if err := s.spawn(w); err != nil {
		w.client.Gone(nil)
		s.noteNotStarted(err)
		sl.rest(err.Error(), nil)
		return
	}
	sl.w = w
	s.watch(w)
	w.log(s.log).Debug("worker started", "command", s.spec.Argv)
	sl.enter(starting, s.spec.StartTimeout)
}

func (sl *slot) onReady() {
	if sl.state != starting {
		return // it was asked to stop meanwhile
	}
	w := sl.w
	w.readyAt = time.Now()
	sl.s.noteReady()
	w.client.Ready()
	w.log(sl.s.log).Info("worker ready", "after", w.readyAt.Sub(w.started).Round(time.Millisecond))
	sl.enter(ready, sl.hangCheck())
}

func (sl *slot) hangCheck() time.Duration {
	if sl.s.spec.HangTimeout == 0 {
		return never
	}
	return max(hangSoonest, min(time.Second, sl.s.spec.HangTimeout/hangChecks))
}

// checkHung asks a worker that leaves a connection untaken for evidence,
// before it is killed.
func (sl *slot) checkHung() {
	w, spec := sl.w, &sl.s.spec
	since, ok := w.Link.UntakenSince()
	if ok && time.Since(since) >= spec.HangTimeout {
		// It may be we who were stopped: hear first what it has said.
		w.Link.Sync()
		since, ok = w.Link.UntakenSince()
	}
	if !ok || time.Since(since) < spec.HangTimeout {
		sl.enter(ready, sl.hangCheck())
		return
	}
	log := w.log(sl.s.log)
	sl.retire()
	if spec.DumpSignal == 0 {
		log.Error("worker hangs, killing it", "hang_timeout", spec.HangTimeout)
		sl.kill()
		return
	}
	log.Error("worker hangs, asking for its stacks before killing it",
		"hang_timeout", spec.HangTimeout, "signal", spec.DumpSignal.String(), "dump_grace", spec.DumpGrace)
	w.signal(spec.DumpSignal)
	sl.enter(dumping, spec.DumpGrace)
}

func (sl *slot) onStop() {
	switch sl.state {
	case waiting:
		sl.enter(done, never)
	case starting:
		sl.terminate()
	case ready:
		sl.retire()
		sl.w.Link.Drain(sl.s.spec.DrainTimeout, true)
		sl.drain()
	case dumping:
		sl.kill()
	}
}

func (sl *slot) onKill() {
	switch sl.state {
	case waiting:
		sl.enter(done, never)
	case done, killing:
	default:
		sl.kill()
	}
}

// onLinkEnded: whatever the process does, it can't be given connections any
// more, and the sessions in it can't be reached.
func (sl *slot) onLinkEnded(err error) {
	w := sl.w
	switch {
	case errors.Is(err, workerproto.ErrProtocol):
		w.log(sl.s.log).Error("worker broke the protocol, killing it", "err", err)
		sl.kill() // first: it may have what bury hands to others
		sl.bury()
	case sl.state == ready && errors.Is(err, workerproto.ErrLeft):
		w.log(sl.s.log).Info("worker leaves of its own accord", "drain_timeout", sl.s.spec.DrainTimeout)
		sl.bury()
		sl.drain()
		sl.checkDrained()
	case sl.state == starting || sl.state == ready:
		// Usually the first that is heard of an exit: no line in the log.
		sl.bury()
		sl.terminate()
	case sl.state == dumping:
		sl.bury()
	case sl.state == draining:
		sl.checkDrained()
	}
}

// drain gives the worker time to finish.
func (sl *slot) drain() {
	sl.w.drainUntil = time.Now().Add(sl.s.spec.DrainTimeout)
	sl.enter(draining, sl.s.spec.DrainTimeout)
}

// drainCheck is the time between looks at a worker that has closed its link
// and goes on, and drainChecks how many in a row must find nothing open: it may
// have something to save.
const (
	drainCheck  = 250 * time.Millisecond
	drainChecks = 4
)

// checkDrained ends a worker that drains and whose link has ended, when its
// time is over, or earlier if it has nothing more to answer: it holds no
// socket. A native worker ends by itself then; a Node program lives for as long
// as any timer does, such as a cluster adapter's.
func (sl *slot) checkDrained() {
	w := sl.w
	left := time.Until(w.drainUntil)
	if left <= 0 {
		w.log(sl.s.log).Warn("worker did not finish in time, sending SIGTERM", "drain_timeout", sl.s.spec.DrainTimeout)
		sl.terminate()
		return
	}
	if holdsSockets(w.PID) {
		w.drained = 0
	} else if w.drained++; w.drained == drainChecks {
		w.log(sl.s.log).Debug("worker has finished, sending SIGTERM")
		sl.terminate()
		return
	}
	sl.enter(draining, min(left, drainCheck))
}

func (sl *slot) onExited() {
	w := sl.w
	sessions := sl.bury()
	if sl.s.stopping.Err() != nil {
		w.log(sl.s.log).Info("worker stopped", "exit", w.cause())
		w.tasks.Wait()
		sl.w, sl.cause = nil, w.cause()
		sl.enter(done, never)
		return
	}
	up := time.Since(w.started).Round(time.Millisecond)
	w.log(sl.s.log).Warn("worker died", "exit", w.cause(), "up", up, "sessions_lost", sessions)
	w.tasks.Wait()
	if !w.readyAt.IsZero() && time.Since(w.readyAt) >= backoffHealthy {
		sl.deaths = 0
	}
	sl.rest(w.cause(), w.last.get())
}

// rest waits before the next process.
func (sl *slot) rest(cause string, lines []string) {
	sl.w, sl.cause = nil, cause
	sl.deaths++
	sl.s.noteFailure(sl.n, cause, lines)
	if sl.s.stopping.Err() != nil {
		sl.enter(done, never)
		return
	}
	wait := backoff(sl.deaths, rand.Float64())
	level := slog.LevelInfo
	if wait == 0 {
		level = slog.LevelDebug
	}
	sl.s.log.Log(context.Background(), level, "worker will be started again", "slot", sl.n, "in", wait.Round(time.Millisecond), "deaths_in_a_row", sl.deaths, "cause", cause)
	sl.enter(waiting, wait)
}

// retire says once that the worker gets no new sessions.
func (sl *slot) retire() { sl.w.client.Draining() }

// bury takes the worker out of everything but the process table, once; later
// calls do nothing. It returns how many sessions were lost.
func (sl *slot) bury() (sessions int) {
	w := sl.w
	if w.gone {
		return w.lost
	}
	w.gone = true
	untaken := w.Link.Close()
	sl.s.removeLink(w.Link)
	w.lost = w.client.Gone(untaken)
	if n := len(untaken); n > 0 {
		w.log(sl.s.log).Info("connections that the worker had not taken go elsewhere", "connections", n)
	}
	return w.lost
}

func (sl *slot) terminate() {
	sl.w.signal(syscall.SIGTERM)
	sl.enter(stopping, sl.s.spec.StopTimeout)
}

func (sl *slot) kill() {
	sl.w.signal(syscall.SIGKILL)
	sl.enter(killing, stillThere)
}

// log returns a logger that names the worker.
func (w *Worker) log(to *slog.Logger) *slog.Logger {
	return to.With("slot", w.Slot, "pid", w.PID)
}
