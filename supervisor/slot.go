package supervisor

import (
	"context"
	"errors"
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
	finishing
	closed
	stopping
	killing
	drained
	done
)

// A slot is a seat for one worker at a time. While a worker is replaced there
// are two slots of that number: the one that it has, and its heir's. Its fields
// belong to run, but for the channels and status.
type slot struct {
	s          *Supervisor
	n          int
	generation int
	launch     *Launch
	trial      *trial        // nil: it has nothing to prove
	monitor    *monitor      // hears of the first crash after that; nil: none does
	orders     chan func()   // calls what it gets
	gone       chan struct{} // closed when run has returned
	vacated    chan struct{} // closed when it has no process and gets none

	state   state
	since   time.Time
	w       *Worker // nil while waiting, drained and done
	leaving bool    // no process follows this one
	rests   bool    // and then the slot stays empty, and is not done
	past    Past
	deaths  int // in a row
	timer   *time.Timer
	due     time.Time     // when the timer fires; zero: it does not
	first   time.Duration // until it does for the first time; negative: it does not
	frozen  bool          // run is to return though it is not done

	status atomic.Pointer[SlotStatus]
}

func newSlot(s *Supervisor, n, generation int, l *Launch, t *trial) *slot {
	sl := &slot{
		s: s, n: n, generation: generation, launch: l, trial: t, since: time.Now(),
		orders: make(chan func()), gone: make(chan struct{}), vacated: make(chan struct{}),
	}
	sl.publish(0)
	return sl
}

func (sl *slot) limits() *Limits { return sl.s.limits.Load() }

// run owns the slot from the first spawn until it is done.
func (sl *slot) run() {
	defer close(sl.gone)
	sl.timer = time.NewTimer(0)
	defer sl.timer.Stop()
	sl.setTimer(sl.first)
	stop, kill := sl.s.stopping.Done(), sl.s.killing.Done()
	for sl.state != done && !sl.frozen {
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
		case f := <-sl.orders:
			f()
		case e := <-events:
			sl.onEvent(e)
		case <-sl.timer.C:
			sl.onTimer()
		}
	}
	if !sl.frozen {
		sl.prove(ErrStopping)
		sl.empty()
	}
}

func (sl *slot) onEvent(e event) {
	switch e.kind {
	case becameReady:
		sl.onReady()
	case linkEnded:
		sl.onLinkEnded(e.err)
	case ended:
		sl.onEnded()
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
	sl.setTimer(d)
}

func (sl *slot) setTimer(d time.Duration) {
	sl.timer.Stop()
	sl.due = time.Time{}
	if d >= 0 {
		sl.due = time.Now().Add(d)
		sl.timer.Reset(d)
	}
}

const (
	never       = -1
	stillThere  = 10 * time.Second       // between complaints about one that SIGKILL does not end
	closedGrace = 200 * time.Millisecond // from the end of a conversation to SIGTERM: some runtimes close it before their last words
	hangChecks  = 8                      // how often in HangTimeout a worker is looked at
	hangSoonest = 20 * time.Millisecond
)

func (sl *slot) onTimer() {
	w := sl.w
	switch sl.state {
	case waiting:
		sl.spawn()
	case starting:
		sl.checkStarting()
	case ready:
		sl.look()
	case dumping:
		sl.kill()
	case draining:
		sl.checkDrained()
	case finishing:
		sl.checkFinished()
	case closed:
		sl.endClosed()
	case stopping:
		sl.checkStopped()
	case killing:
		w.log(sl.s.log).Error("worker is still there after SIGKILL")
		sl.enter(killing, stillThere)
	}
}

// spawn starts the next process.
func (sl *slot) spawn() {
	s := sl.s
	w := &Worker{Slot: sl.n, Generation: sl.generation, launch: sl.launch, started: time.Now(), events: make(chan event, maxEvents)}
	w.stdout = output{worker: w, stream: logs.Stdout}
	w.stderr = output{worker: w, stream: logs.Stderr}
	w.client = s.clients.Join(w)
	w.terms = workerproto.Terms{
		Slot: sl.n, Workers: s.wanted(), Incarnation: w.client.Incarnation(),
		Window: sl.launch.Window, Sessions: sl.launch.Sessions,
	}
	if err := s.spawn(w); err != nil {
		w.client.Gone(nil)
		if sl.trial == nil {
			s.noteNotStarted(err)
		}
		sl.rest(failure{cause: err.Error()})
		return
	}
	sl.w = w
	if s.spec.Started != nil {
		s.spec.Started(w)
	}
	s.watch(w)
	w.log(s.log).Debug("worker started", "command", sl.launch.Argv)
	limit := sl.limits().StartTimeout
	w.until = time.Now().Add(limit)
	sl.enter(starting, min(limit, startLook))
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
	sl.enter(ready, never)
	sl.look()
}

// look is what is done about a ready worker from time to time.
func (sl *slot) look() {
	if sl.checkHung() {
		return
	}
	next := sl.hangCheck()
	if sl.trial != nil {
		left := time.Until(sl.w.readyAt.Add(sl.limits().MinReady))
		if left <= 0 {
			sl.prove(nil)
		} else if next < 0 || left < next {
			next = left
		}
	}
	sl.enter(ready, next)
}

func (sl *slot) hangCheck() time.Duration {
	limit := sl.limits().HangTimeout
	if limit == 0 {
		return never
	}
	return max(hangSoonest, min(time.Second, limit/hangChecks))
}

// checkHung asks a worker that leaves a connection untaken for evidence,
// before it is killed.
func (sl *slot) checkHung() (hung bool) {
	w, limits := sl.w, sl.limits()
	if !w.hung(limits.HangTimeout) {
		return false
	}
	log := w.log(sl.s.log)
	sl.retire()
	w.fault = endHung
	if limits.DumpSignal == 0 {
		log.Error("worker hangs, killing it", "hang_timeout", limits.HangTimeout)
		sl.kill()
		return true
	}
	log.Error("worker hangs, asking for its stacks before killing it",
		"hang_timeout", limits.HangTimeout, "signal", limits.DumpSignal.String(), "dump_grace", limits.DumpGrace)
	w.signal(limits.DumpSignal)
	sl.enter(dumping, limits.DumpGrace)
	return true
}

// hung reports whether the worker has taken nothing for so long though a
// connection waits for it.
func (w *Worker) hung(limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	since, ok := w.Link.UntakenSince()
	if ok && time.Since(since) >= limit {
		// It may be we who were stopped: hear first what it has said.
		w.Link.Sync()
		since, ok = w.Link.UntakenSince()
	}
	return ok && time.Since(since) >= limit
}

func (sl *slot) onStop() {
	switch sl.state {
	case waiting, drained:
		sl.enter(done, never)
	case starting, closed:
		sl.terminate()
	case ready, draining:
		sl.retire()
		sl.finish(sl.limits().DrainTimeout)
	case dumping:
		sl.kill()
	}
}

func (sl *slot) onKill() {
	switch sl.state {
	case waiting, drained:
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
	w.linkEnded = true
	switch {
	case errors.Is(err, errNotTakenUp):
		w.log(sl.s.log).Error("worker is lost to the upgrade, killing it", "err", err)
		w.fault = endLost
		sl.kill() // first, as below
		sl.bury()
	case sl.learnFromLink(err):
		w.again = true
		sl.kill()
		sl.bury()
	case errors.Is(err, workerproto.ErrProtocol):
		w.log(sl.s.log).Error("worker broke the protocol, killing it", "err", err)
		w.fault = endProtocol
		sl.kill() // first: it may have what bury hands to others
		sl.bury()
	case (sl.state == ready || sl.state == draining) && errors.Is(err, workerproto.ErrLeft):
		limit := sl.limits().DrainTimeout
		if sl.state == draining { // it has begun
			limit = max(time.Until(w.until), finishGrace)
		}
		w.log(sl.s.log).Info("worker leaves of its own accord", "drain_timeout", limit.Round(time.Millisecond))
		sl.report(&crash{slot: sl.n, how: "left of its own accord", ran: true, lines: w.last.get()})
		sl.bury()
		sl.awaitFinish(limit)
	case sl.state == starting || sl.state == ready || sl.state == draining:
		// Usually the first that is heard of an exit: no line in the log.
		sl.bury()
		sl.enter(closed, closedGrace)
	case sl.state == dumping:
		sl.bury()
	case sl.state == finishing:
		sl.checkFinished()
	}
}

// endClosed ends a worker that has closed its channel and goes on.
func (sl *slot) endClosed() {
	w := sl.w
	log := w.log(sl.s.log)
	if w.readyAt.IsZero() {
		log = log.With("hint", sl.s.hint(w))
	}
	log.Warn("worker closed its channel to stickyd and goes on, sending SIGTERM")
	if !sl.leaving { // else it is what was wanted
		w.fault = endChannel
	}
	sl.terminate()
}

func (sl *slot) onExited() {
	w := sl.w
	sessions := sl.bury()
	wanted := sl.s.stopping.Err() != nil || sl.leaving && w.fault == ""
	w.again = !wanted && (w.again || sl.learnFromDeath())
	switch {
	case w.again:
	case wanted:
		w.log(sl.s.log).Info("worker stopped", "exit", w.cause(), "sessions_lost", sessions)
	default:
		log := w.log(sl.s.log)
		if w.daemonized() {
			log = log.With("hint", w.deathHint())
		}
		log.Warn("worker died", "exit", w.cause(), "up", time.Since(w.started).Round(time.Millisecond), "sessions_lost", sessions)
	}
	w.reaping.Wait()
	w.tasks.Wait()
	if w.again {
		sl.w = nil
		sl.enter(waiting, 0)
		return
	}
	sl.s.noteEnd(sl.n, w.end(wanted))
	if !w.readyAt.IsZero() && time.Since(w.readyAt) >= backoffHealthy {
		sl.deaths = 0
	}
	if wanted {
		sl.w = nil
		sl.vacate()
		return
	}
	sl.rest(w.failure())
}

// rest waits before the next process.
func (sl *slot) rest(f failure) {
	c := sl.crash(f.cause, f.lines)
	sl.w = nil
	sl.past.crash(f.cause)
	sl.deaths++
	if sl.trial != nil {
		sl.leaving = true // one that proves nothing is not tried again
		sl.prove(c)
	} else {
		sl.s.noteFailure(sl.n, f)
	}
	if sl.s.stopping.Err() != nil || sl.leaving {
		sl.vacate()
		return
	}
	wait := backoff(sl.deaths, rand.Float64())
	level := slog.LevelInfo
	if wait == 0 {
		level = slog.LevelDebug
	}
	sl.s.log.Log(context.Background(), level, "worker will be started again", "slot", sl.n, "in", wait.Round(time.Millisecond), "deaths_in_a_row", sl.deaths, "cause", f.cause)
	sl.enter(waiting, wait)
	sl.report(c) // last: who hears of it looks at the slot
}

// vacate leaves the slot without a process.
func (sl *slot) vacate() {
	if sl.rests && sl.s.stopping.Err() == nil {
		sl.enter(drained, never)
	} else {
		sl.enter(done, never)
	}
	sl.empty()
}

// empty says once that there is no process and will be none.
func (sl *slot) empty() {
	select {
	case <-sl.vacated:
	default:
		close(sl.vacated)
	}
}

// retire says once that the worker gets no new sessions.
func (sl *slot) retire() {
	if !sl.w.retired {
		sl.w.retired = true
		sl.w.client.Draining()
	}
}

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
	w.lost += w.client.Gone(untaken)
	if n := len(untaken); n > 0 {
		w.log(sl.s.log).Info("connections that the worker had not taken go elsewhere", "connections", n)
	}
	return w.lost
}

func (sl *slot) terminate() {
	limit := sl.limits().StopTimeout
	sl.w.signal(syscall.SIGTERM)
	sl.w.until = time.Now().Add(limit)
	sl.enter(stopping, limit)
}

func (sl *slot) kill() {
	sl.w.signal(syscall.SIGKILL)
	sl.w.process.letGo() // nothing it leaves behind is waited for
	sl.enter(killing, stillThere)
}

// log returns a logger that names the worker.
func (w *Worker) log(to *slog.Logger) *slog.Logger {
	return to.With("slot", w.Slot, "pid", w.PID)
}
