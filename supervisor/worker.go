package supervisor

import (
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// A Worker is one process in a slot.
type Worker struct {
	Slot int // 1 to Spec.Workers
	PID  int
	Link Link // to Hand it connections, once it is ready

	client  Client
	terms   workerproto.Terms
	cmd     *exec.Cmd
	started time.Time
	readyAt time.Time // zero: never
	gone    bool      // client.Gone was called
	lost    int       // and said that so many sessions were lost
	fault   string    // why we killed it; "" if we did not

	drainUntil time.Time // of one that drains: the end of its time
	drained    int       // looks in a row at which it had nothing to answer

	stdout, stderr output
	last           lastLines

	memory      *memoryGroup // nil: no limit
	outOfMemory string       // that it died of that, for people; set before exited

	reaping sync.Mutex
	reaped  bool // PID may be another's

	events chan event // what happened to it, for its slot
	tasks  sync.WaitGroup
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
	exited
)

// maxEvents is how many events a worker can cause: one of each kind.
const maxEvents = 3

// readyHandler hands everything on but Ready, which is the slot's.
type readyHandler struct {
	workerproto.Traffic
	w *Worker
}

func (h readyHandler) Ready() { h.w.events <- event{kind: becameReady} }

// watch starts the goroutines that turn what happens into events.
func (s *Supervisor) watch(w *Worker) {
	s.addLink(w.Link)
	w.tasks.Go(func() {
		w.events <- event{kind: linkEnded, err: w.Link.Run()}
	})
	w.tasks.Go(func() { w.stdout.copy(s.spec.Output) })
	w.tasks.Go(func() { w.stderr.copy(s.spec.Output) })
	w.tasks.Go(func() {
		s.reap(w)
		w.events <- event{kind: exited}
	})
}

// outputGrace is how long a dead worker's output is still read, where
// something that left its process group holds it open.
const outputGrace = 200 * time.Millisecond

// reap waits for the process, and ends what is left of its group while the
// zombie still holds the group's number.
func (s *Supervisor) reap(w *Worker) {
	awaitExit(w.cmd)
	w.signal(syscall.SIGKILL)
	s.guardian.remove(w.PID)
	w.reaping.Lock()
	WaitChild(w.cmd) // the error is in ProcessState; it returns at once
	w.reaped = true
	w.reaping.Unlock()
	w.outOfMemory = w.memory.end()
	w.stdout.finish(outputGrace)
	w.stderr.finish(outputGrace)
}

// signal sends a signal to the worker's process group, while its number is its
// own.
func (w *Worker) signal(sig syscall.Signal) {
	w.reaping.Lock()
	defer w.reaping.Unlock()
	if !w.reaped {
		syscall.Kill(-w.PID, sig)
	}
}

// cause says how the process ended, and what for if we ended it.
func (w *Worker) cause() string {
	if w.fault != "" {
		return w.fault
	}
	return w.cmd.ProcessState.String() + w.outOfMemory
}
