package supervisor

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A Supervisor runs the slots of one Spec.
type Supervisor struct {
	spec          Spec
	limits        atomic.Pointer[Limits]
	clients       Clients
	log           *slog.Logger
	guardian      *guardian
	memory        *memoryLimit // nil: none
	instance      uint32       // see mark
	clientSockets clientSockets
	procs         procTable
	hub           *workerproto.Hub // where native workers meet
	nodeHub       *nodeipc.Hub     // and those of Node

	inspectors inspectors // of Node workers

	stopping context.Context // done: bring the workers to an end
	stop     context.CancelFunc
	killing  context.Context // done: at once
	kill     context.CancelFunc
	frozen   context.Context // done: all of it goes on elsewhere
	freeze   context.CancelFunc
	relieved *GuardianState // the one whose successor Run starts; nil: there was none

	begun    chan struct{}  // closed when Run has started the slots, or never will
	running  sync.WaitGroup // the slots, and operations, which may add to it
	underWay underWay

	mu         sync.Mutex
	slots      []*slot // by number; of one number the oldest first
	current    *Launch // of slots that are added
	workers    int     // how many there are to be
	generation int     // the newest
	over       bool    // nothing is added any more
	links      map[Link]struct{}
	loop       crashLoop
	ends       map[int]map[string]int64 // by slot and cause
}

// New returns a supervisor; Run starts it.
func New(spec Spec, clients Clients, log *slog.Logger) *Supervisor {
	s := &Supervisor{
		spec: spec, clients: clients, log: log,
		hub:      workerproto.NewHub(),
		nodeHub:  nodeipc.NewHub(),
		instance: newInstance(),
		links:    make(map[Link]struct{}), begun: make(chan struct{}),
		current: &spec.Launch, workers: spec.Workers, generation: 1,
		loop: crashLoop{failed: make(map[int]failure), opened: make(map[int]*opened)}, ends: make(map[int]map[string]int64),
	}
	s.current.Lessons = new(Lessons)
	s.limits.Store(&spec.Limits)
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.killing, s.kill = context.WithCancel(context.Background())
	s.frozen, s.freeze = context.WithCancel(context.Background())
	for n := 1; n <= spec.Workers; n++ {
		s.insertLocked(newSlot(s, n, s.generation, s.current, nil))
	}
	return s
}

// Run starts the workers and keeps them running until Stop or Kill; it returns
// when the last one is gone. It returns an error at once if the command can't
// be executed, and after a while if no worker has ever become ready.
func (s *Supervisor) Run() error {
	begun := sync.OnceFunc(func() { close(s.begun) })
	defer begun()
	defer s.addNoMore() // nor where nothing could be started
	if err := s.prepare(); err != nil {
		return err
	}
	defer s.memory.close()
	if err := s.startGuardian(); err != nil {
		return err
	}
	defer s.guardian.close() // does nothing to a frozen one
	defer s.watchStart()()

	for _, sl := range s.slots {
		if sl.w != nil { // resumed
			sl.w.memory.resume(s.memory)
			s.watch(sl.w)
		}
	}
	s.running.Go(s.recycle)
	s.mu.Lock()
	for _, sl := range s.slots {
		s.startLocked(sl)
	}
	s.mu.Unlock()
	begun()
	select {
	case <-s.stopping.Done():
	case <-s.frozen.Done():
		s.running.Wait()
		return ErrFrozen
	}
	s.addNoMore()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loop.fatal
}

func (s *Supervisor) startGuardian() (err error) {
	s.guardian = newGuardian(s.spec.Guardian, s.instance, s.log)
	for _, sl := range s.slots {
		if sl.w != nil { // resumed
			s.guardian.add(sl.w.PID)
		}
	}
	if s.relieved != nil {
		s.guardian.resume(*s.relieved)
		return nil
	}
	return s.guardian.start()
}

func (s *Supervisor) addNoMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// Stop asks for the end: drain, SIGTERM, SIGKILL, each with its time limit.
func (s *Supervisor) Stop() { s.stop() }

// Kill ends all workers at once.
func (s *Supervisor) Kill() {
	s.stop() // first: what dies of kill must not be started again
	s.kill()
}

// SetLimits changes the limits of all workers, those that run included: what is
// waited for already is waited for as before.
func (s *Supervisor) SetLimits(l Limits) { s.limits.Store(&l) }

// add starts another slot. It returns false if it is too late for that.
func (s *Supervisor) add(sl *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.insertLocked(sl)
	s.startLocked(sl)
	return true
}

func (s *Supervisor) insertLocked(sl *slot) {
	i, _ := slices.BinarySearchFunc(s.slots, sl.n+1, func(sl *slot, n int) int { return cmp.Compare(sl.n, n) })
	s.slots = slices.Insert(s.slots, i, sl)
}

func (s *Supervisor) startLocked(sl *slot) {
	s.running.Go(func() {
		sl.run()
		if s.stopping.Err() == nil { // else the last thing that is known of it stays to be seen
			s.remove(sl)
		}
	})
}

func (s *Supervisor) remove(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = slices.DeleteFunc(s.slots, func(other *slot) bool { return other == sl })
}

// all returns the slots there are.
func (s *Supervisor) all() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.slots)
}

// Sync returns once every frame that a worker had sent when it was called has
// been handled.
func (s *Supervisor) Sync() {
	s.mu.Lock()
	links := make([]Link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		l.Sync()
	}
}

func (s *Supervisor) addLink(l Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[l] = struct{}{}
}

func (s *Supervisor) removeLink(l Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, l)
}
