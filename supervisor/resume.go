package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
)

// Resume returns a supervisor that goes on where another was frozen. The
// descriptors of state are its own from then on. After an error nothing has been
// made of the state. A worker whose conversation can't be taken up is killed and
// replaced when Run is called; until then nothing is closed, no worker is heard and
// no child reaped. Of spec, Launch and Workers do not count: what the state has
// does, and a change is for Adopt and Scale to make.
func Resume(spec Spec, state *State, clients Clients, log *slog.Logger) (*Supervisor, error) {
	if err := state.Check(); err != nil {
		return nil, err
	}
	spec.Workers = 0
	s := New(spec, clients, log)
	s.instance, s.workers, s.generation = state.Instance, state.Workers, state.Generation
	s.loop.ready = state.Ready
	s.relieved = &state.Guardian
	if state.Ends != nil {
		s.ends = state.Ends
	}
	launches := make([]*Launch, len(state.Launches))
	for i := range launches {
		launches[i] = &state.Launches[i]
		if launches[i].Lessons == nil { // as of a build before them
			launches[i].Lessons = new(Lessons)
		}
	}
	s.current = launches[len(launches)-1]
	for i := range state.Slots {
		one := &state.Slots[i]
		s.slots = append(s.slots, resumeSlot(s, one, launches[one.Launch]))
	}
	return s, nil
}

// Check says what makes no sense, and makes nothing of the state.
func (s *State) Check() error {
	if len(s.Launches) == 0 {
		return errors.New("the state has no launch")
	}
	for i := range s.Slots {
		one := &s.Slots[i]
		switch now := one.state(); {
		case one.Launch < 0 || one.Launch >= len(s.Launches):
			return fmt.Errorf("slot %d has launch %d of %d", one.N, one.Launch, len(s.Launches))
		case now < 0 || one.Worker == nil && now != waiting && now != drained:
			return fmt.Errorf("slot %d has state %q, with or without a worker", one.N, one.State)
		case one.Worker != nil && one.Worker.PID <= 1: // to kill that would be to kill others
			return fmt.Errorf("slot %d has process %d", one.N, one.Worker.PID)
		}
	}
	return nil
}

// state returns -1 for one that is not known.
func (s *SlotState) state() state { return state(slices.Index(stateNames[:], s.State)) }

func resumeSlot(s *Supervisor, from *SlotState, l *Launch) *slot {
	sl := newSlot(s, from.N, from.Generation, l, nil)
	sl.state, sl.since, sl.first = from.state(), from.Since, from.Timer
	sl.leaving, sl.rests = from.Leaving, from.Rests
	sl.past, sl.deaths = from.Past, from.Deaths
	if sl.state == drained {
		close(sl.vacated)
	}
	if from.Worker != nil {
		sl.w = resumeWorker(s, sl, from.Worker)
	}
	sl.publish(from.Timer)
	return sl
}

func resumeWorker(s *Supervisor, sl *slot, from *WorkerState) *Worker {
	w := &Worker{
		Slot: sl.n, Generation: sl.generation, PID: from.PID, launch: sl.launch,
		started: from.Started, readyAt: from.Ready, retired: from.Retired, gone: from.Gone, lost: from.Lost,
		fault: end(from.Fault), idle: from.Idle, lingers: from.Lingers,
		events: make(chan event, maxEvents),
	}
	if from.TimeLeft >= 0 {
		w.until = time.Now().Add(from.TimeLeft)
	}
	w.last.lines, w.memory = from.LastLines, from.Memory.group()
	w.inspector = from.Inspector
	s.inspectors.restore(w.inspector)
	w.stdout = output{worker: w, stream: logs.Stdout}
	w.stderr = output{worker: w, stream: logs.Stderr}
	w.stdout.resume(from.Stdout)
	w.stderr.resume(from.Stderr)
	w.terms = workerproto.Terms{
		Slot: sl.n, Workers: from.Workers, Incarnation: from.Incarnation,
		Window: sl.launch.Window, Sessions: sl.launch.Sessions,
	}
	w.process = adopt(from.PID)
	if w.gone {
		return w // nobody asks for its client or its link any more
	}
	var err error
	if w.client, err = s.clients.Rejoin(w, from.Incarnation); err != nil {
		w.client = s.clients.Join(w) // who gets what the worker had not taken
	} else {
		w.Link, err = s.thawLink(from.Link, w)
	}
	if err != nil {
		w.Link = loseLink(from.Link, err) // costs this worker, and no other
	}
	s.addLink(w.Link) // for Sync: clients may come before Run has got that far
	return w
}
