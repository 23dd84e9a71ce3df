package supervisor

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
)

// Resume returns a supervisor that goes on where another was frozen. The
// descriptors of state are its own from then on; after an error they are the
// caller's still. A worker whose conversation can't be taken up is killed and
// replaced when Run is called. Of spec, Launch and Workers do not count: what the state has
// does, and a change is for Adopt and Scale to make.
func Resume(spec Spec, state *State, clients Clients, log *slog.Logger) (*Supervisor, error) {
	if len(state.Launches) == 0 {
		return nil, fmt.Errorf("the state has no launch")
	}
	spec.Workers = 0
	s := New(spec, clients, log)
	s.mark, s.workers, s.generation = state.Mark, state.Workers, state.Generation
	s.loop.ready = state.Ready
	s.relieved = &state.Guardian
	if state.Ends != nil {
		s.ends = state.Ends
	}
	launches := make([]*Launch, len(state.Launches))
	for i := range launches {
		launches[i] = &state.Launches[i]
	}
	s.current = launches[len(launches)-1]
	for i := range state.Slots {
		one := &state.Slots[i]
		if one.Launch < 0 || one.Launch >= len(launches) {
			return nil, fmt.Errorf("slot %d has launch %d of %d", one.N, one.Launch, len(launches))
		}
		sl, err := resumeSlot(s, one, launches[one.Launch])
		if err != nil {
			return nil, fmt.Errorf("slot %d: %w", one.N, err)
		}
		s.slots = append(s.slots, sl)
	}
	return s, nil
}

func resumeSlot(s *Supervisor, from *SlotState, l *Launch) (*slot, error) {
	sl := newSlot(s, from.N, from.Generation, l, nil)
	now := slices.Index(stateNames[:], from.State)
	if now < 0 || from.Worker == nil && state(now) != waiting && state(now) != drained {
		return nil, fmt.Errorf("state %q, with or without a worker", from.State)
	}
	sl.state, sl.since, sl.first = state(now), from.Since, from.Timer
	sl.leaving, sl.rests = from.Leaving, from.Rests
	sl.starts, sl.deaths, sl.cause = from.Starts, from.Deaths, from.Cause
	if sl.state == drained {
		close(sl.vacated)
	}
	if from.Worker != nil {
		w, err := resumeWorker(s, sl, from.Worker)
		if err != nil {
			return nil, err
		}
		sl.w = w
	}
	sl.publish(from.Timer)
	return sl, nil
}

func resumeWorker(s *Supervisor, sl *slot, from *WorkerState) (w *Worker, err error) {
	w = &Worker{
		Slot: sl.n, Generation: sl.generation, PID: from.PID, launch: sl.launch,
		started: from.Started, readyAt: from.Ready, retired: from.Retired, gone: from.Gone, lost: from.Lost,
		fault: end(from.Fault), drainUntil: from.DrainUntil, idle: from.Idle,
		events: make(chan event, maxEvents),
	}
	w.last.lines, w.memory = from.LastLines, from.Memory.group()
	w.stdout = output{worker: w, stream: logs.Stdout}
	w.stderr = output{worker: w, stream: logs.Stderr}
	w.stdout.resume(from.Stdout)
	w.stderr.resume(from.Stderr)
	w.terms = workerproto.Terms{
		Slot: sl.n, Workers: from.Workers, Incarnation: from.Incarnation,
		Window: sl.launch.Window, Sessions: sl.launch.Sessions,
	}
	if w.process, err = adopt(from.PID); err != nil {
		return nil, err
	}
	if w.gone {
		return w, nil // nobody asks for its client or its link any more
	}
	if w.client, err = s.clients.Rejoin(w, from.Incarnation); err != nil {
		w.client = s.clients.Join(w) // who gets what the worker had not taken
	} else {
		w.Link, err = s.thawLink(from.Link, w, s.spec.Reacquire)
	}
	if err != nil {
		w.Link = loseLink(from.Link, err) // costs this worker, and no other
	}
	s.addLink(w.Link) // for Sync: clients may come before Run has got that far
	return w, nil
}
