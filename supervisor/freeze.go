package supervisor

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stickyd/stickyd/supervisor/exact"
	"github.com/stickyd/stickyd/workerproto"
)

// This file is how supervision is put down in one program and taken up in
// another, in the same process or after an exec: the workers do not notice.

// A State is all that a frozen Supervisor knew. It owns the descriptors in it,
// which Descriptors lists.
type State struct {
	Instance   uint32 // see mark
	Workers    int
	Generation int
	Launches   []Launch // of slots; the last one is of those that are added
	Ready      bool     // some worker has been ready
	Slots      []SlotState
	Guardian   GuardianState
	Ends       map[int]map[string]int64
}

// A SlotState is what a slot knew.
type SlotState struct {
	N, Generation  int
	Launch         int // index in State.Launches
	State          string
	Since          time.Time
	Timer          time.Duration // until its next event; negative: none
	Leaving, Rests bool
	Past           Past
	Deaths         int
	Worker         *WorkerState // nil: it has no process
}

// A WorkerState is what was known of a worker's process.
type WorkerState struct {
	PID            int
	Incarnation    uint32
	Workers        int // that it was told there are
	Started, Ready time.Time
	Retired, Gone  bool
	Lost           int
	Fault          string
	TimeLeft       time.Duration // until the end of its time; negative: it has no end
	Lingers        bool
	Idle           int
	Stdout, Stderr OutputState
	LastLines      exact.Strings
	Memory         *MemoryState // nil: no limit
	Inspector      int
	Link           linkState // of none that is Gone
}

// An OutputState is one of a worker's streams.
type OutputState struct {
	FD      int // of the pipe's reading end; -1: it has ended
	Partial []byte
}

// A GuardianState is the guardian that is to be relieved: its process, 0 if
// there is none, and the pipe that it hears us by, -1 if it was let go.
type GuardianState struct{ PID, FD int }

// ErrFrozen is what Run returns after Freeze.
var ErrFrozen = errors.New("supervision is frozen")

// Freeze ends supervision without ending a worker, and lets Run return. It is
// called in an operation. Where it returns an error
// nothing has changed.
func (s *Supervisor) Freeze() (*State, error) {
	s.mu.Lock()
	if s.over || s.stopping.Err() != nil {
		s.mu.Unlock()
		return nil, ErrStopping
	}
	s.over = true
	slots := slices.Clone(s.slots)
	state := &State{Instance: s.instance, Workers: s.workers, Generation: s.generation, Ready: s.loop.ready}
	last := s.current
	s.mu.Unlock()
	s.freeze() // who waits for workers to drain waits no longer

	var launches []*Launch
	index := func(l *Launch) int {
		i := slices.Index(launches, l)
		if i < 0 {
			i = len(launches)
			launches = append(launches, l)
		}
		return i
	}
	for _, sl := range slots {
		sl.tell(sl.freeze)
		<-sl.gone
	}
	// Only now: until all were frozen, each could still hear of the others.
	for _, sl := range slots {
		if sl.state == done {
			continue
		}
		one := sl.frozenState()
		one.Launch = index(sl.launch)
		state.Slots = append(state.Slots, *one)
	}
	launches = append(launches, last)
	for _, l := range launches {
		state.Launches = append(state.Launches, *l)
	}
	state.Guardian = s.guardian.freeze()
	s.mu.Lock()
	defer s.mu.Unlock()
	state.Ends = maps.Clone(s.ends)
	return state, nil
}

// Descriptors returns the descriptors that the state owns.
func (s *State) Descriptors() (fds []int) {
	for _, sl := range s.Slots {
		if w := sl.Worker; w != nil {
			if !w.Gone {
				fds = append(fds, w.Link.fds()...)
			}
			fds = append(fds, w.Stdout.FD, w.Stderr.FD)
		}
	}
	fds = append(fds, s.Guardian.FD)
	return slices.DeleteFunc(fds, func(fd int) bool { return fd < 0 })
}

// freeze ends run, unless the slot is done anyway.
func (sl *slot) freeze() {
	sl.unwatch()
	sl.frozen = true
}

// frozenState returns what a frozen slot knew.
func (sl *slot) frozenState() *SlotState {
	state := &SlotState{
		N: sl.n, Generation: sl.generation, State: sl.state.String(), Since: sl.since, Timer: left(sl.due),
		Leaving: sl.leaving, Rests: sl.rests, Past: sl.past, Deaths: sl.deaths,
	}
	if sl.w != nil {
		state.Worker = sl.w.frozenState()
	}
	return state
}

// left returns the time until then, never for the zero time. The time in which all
// is frozen does not count, nor does it matter if somebody sets the clock.
func left(until time.Time) time.Duration {
	if until.IsZero() {
		return never
	}
	return max(0, time.Until(until))
}

// unwatch ends what watches the worker, and deals with what that saw at last.
// If the worker has exited, the slot has none after that.
func (sl *slot) unwatch() {
	w := sl.w
	if w == nil {
		return
	}
	w.process.interrupt()
	w.reaping.Wait()
	sl.catchUp(w)
	if sl.w != w {
		return
	}
	if !w.gone {
		w.Link.Freeze()
	}
	w.stdout.interrupt()
	w.stderr.interrupt()
	w.tasks.Wait()
	sl.catchUp(w)
}

// catchUp deals with what has happened to w.
func (sl *slot) catchUp(w *Worker) {
	for sl.w == w {
		select {
		case e := <-w.events:
			if !errors.Is(e.err, workerproto.ErrFrozen) {
				sl.onEvent(e)
			}
		default:
			return
		}
	}
}

// frozenState returns what was known of the worker, whom nobody watches any more.
func (w *Worker) frozenState() *WorkerState {
	w.process.drop()
	state := &WorkerState{
		PID: w.PID, Incarnation: w.terms.Incarnation, Workers: w.terms.Workers,
		Started: w.started, Ready: w.readyAt, Retired: w.retired, Gone: w.gone, Lost: w.lost,
		Fault: string(w.fault), TimeLeft: left(w.until), Idle: w.idle, Lingers: w.lingers,
		Stdout: w.stdout.state(), Stderr: w.stderr.state(), LastLines: w.last.get(), Memory: w.memory.state(), Inspector: w.inspector,
	}
	if !w.gone {
		state.Link = stateOf(w.Link)
	}
	return state
}
