package supervisor

import (
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// A Worker is one process in a slot.
type Worker struct {
	Slot       int // from 1 on
	Generation int // from 1 on: a rolling restart makes a new one
	PID        int
	Link       Link // to Hand it connections, once it is ready

	launch    *Launch
	client    Client
	terms     workerproto.Terms
	process   *process
	started   time.Time
	readyAt   time.Time // zero: never
	retired   bool      // client.Draining was called
	gone      bool      // client.Gone was called
	linkEnded bool      // it says nothing any more
	lost      int       // sessions
	fault     end       // why we killed it; "" if we did not
	preload   string    // path of what Node was to load first; "" for nothing
	inspector int       // see inspectors
	again     bool      // another is to be started in its place, as if nothing had happened

	until    time.Time           // the end of its time, of one that drains, finishes or stops
	idle     int                 // looks in a row at which it had nothing left
	looked   time.Time           // when the last of them began
	lingers  bool                // its process has ended, and what that left behind gets time to
	behind   string              // names of what one left that has never been ready
	survivor *syscall.WaitStatus // of the last process of its group that ended after its own; nil: not known

	stdout, stderr output
	last           lastLines

	memory      *memoryGroup // nil: no limit
	outOfMemory string       // that it died of that, for people; set before exited

	events  chan event // what happened to it, for its slot
	reaping sync.WaitGroup
	tasks   sync.WaitGroup // all others that watch it
}

// Window is how many connections the worker may hold that its application has
// not accepted.
func (w *Worker) Window() int { return w.launch.Window }

// talks reports whether the conversation with the worker goes on.
func (w *Worker) talks() bool { return !w.gone && !w.linkEnded }

// untaken reports whether a connection waits for the worker, which talks, to take it.
func (w *Worker) untaken() bool {
	_, waits := w.Link.UntakenSince()
	return waits
}

// An event is something that happened to a worker.
type event struct {
	kind eventKind
	err  error // of linkEnded
}

type eventKind int

const (
	becameReady eventKind = iota
	linkEnded
	ended  // its process has exited, and is held
	exited // and was reaped
)

// maxEvents is how many events a worker can cause: one of each kind.
const maxEvents = 4

// readyHandler hands everything on but Ready, which is the slot's.
type readyHandler struct {
	workerproto.Traffic
	w *Worker
}

func (h readyHandler) Ready() { h.w.events <- event{kind: becameReady} }

// watch starts the goroutines that turn what happens into events.
func (s *Supervisor) watch(w *Worker) {
	if !w.gone {
		s.addLink(w.Link)
		w.tasks.Go(func() {
			w.events <- event{kind: linkEnded, err: w.Link.Run()}
		})
	}
	w.tasks.Go(func() { w.stdout.copy(s.spec.Output) })
	w.tasks.Go(func() { w.stderr.copy(s.spec.Output) })
	w.reaping.Go(func() { s.reap(w) })
}

// outputGrace is how long a dead worker's output is still read, where
// something that left its process group holds it open.
const outputGrace = 200 * time.Millisecond

// reap waits for the process, and, when the slot has let it go, ends what is left
// of its group while the zombie still holds the group's number. What has left the
// group is ended beside: the next worker need not wait for that.
func (s *Supervisor) reap(w *Worker) {
	if !w.process.await() {
		return // frozen
	}
	offspring.leftAlone(w.PID)
	w.events <- event{kind: ended}
	if !w.process.hold() {
		return // frozen
	}
	w.process.reap()
	s.guardian.remove(w.PID)
	s.inspectors.release(w.inspector)
	s.running.Go(func() { s.endStrays(w) })
	w.outOfMemory = w.memory.end()
	w.stdout.finish(outputGrace)
	w.stderr.finish(outputGrace)
	if s.spec.Silent != nil {
		s.spec.Silent(w)
	}
	w.events <- event{kind: exited}
}

// signal sends a signal to the worker's process group, while its number is its
// own.
func (w *Worker) signal(sig syscall.Signal) { w.process.signal(sig) }
