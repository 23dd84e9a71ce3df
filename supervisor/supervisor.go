package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A Spec says what to run and how long to wait for what. All durations are
// positive but where zero is explained.
type Spec struct {
	Argv    []string // the command; [0] is looked up in PATH
	Env     []string // K=V, added to this process's own
	Workers int      // slots

	Protocol      Protocol
	Serialization nodeipc.Serialization // of workers that speak Node's protocol

	Window   int      // see workerproto.Terms
	Sessions []string // see workerproto.Terms

	StartTimeout time.Duration  // from exec to ready
	HangTimeout  time.Duration  // nothing taken for so long while a connection waits; 0: never hung
	DumpSignal   syscall.Signal // sent to a hung worker before it is killed; 0: none
	DumpGrace    time.Duration  // between that and SIGKILL
	DrainTimeout time.Duration  // for open requests to finish
	StopTimeout  time.Duration  // between SIGTERM and SIGKILL

	// KeepTrying goes on for ever where no worker has ever become ready.
	KeepTrying bool

	// Loop waits for what workers say; nil: the runtime's poller does. It must
	// run for as long as Run does.
	Loop *poll.Loop

	// Process is what each worker's process gets.
	Process ProcessSettings

	// Launcher is the argv of a process that calls RunLauncher with the
	// arguments that follow. It may be nil where Process needs none.
	Launcher []string

	// Guardian is the argv of a process that calls RunGuardian.
	Guardian []string

	// Listens is told where a server of a worker that gets its connections
	// from us would listen by itself, as an address of stickyd's. It may be
	// called from several goroutines and must not block.
	Listens func(addr string)

	// Owns and Open are nodeipc's.
	Owns func(addr string) bool
	Open func(network, addr string, nth int) (fd int, release func(), err error)

	// Preload returns the path of a script that each Node process among the
	// workers loads first; nil for none. It is called before each is started.
	Preload func() (path string, err error)

	// Output gets each line that a worker writes, without its end. It may be
	// called from several goroutines and must not wait; line is valid during
	// the call.
	Output func(w *Worker, stream logs.Stream, line []byte)
}

// A Client is whom a worker works for: it is told of one worker. Ready,
// Draining and Gone are called from the slot's goroutine, in this order, each
// at most once, Gone always. Traffic is the worker's own, see workerproto.
type Client interface {
	// Incarnation is the number that the worker is known by, never used before.
	Incarnation() uint32

	// Ready: the worker takes connections, through its Link.
	Ready()

	// Draining: the worker gets no new sessions.
	Draining()

	// Gone: the worker is dead, or will get no connection any more. untaken
	// are the connections that it never had; they are the client's now. It
	// returns how many sessions were lost.
	Gone(untaken []workerproto.Connection) (sessions int)

	workerproto.Traffic
}

// A Supervisor runs the slots of one Spec.
type Supervisor struct {
	spec        Spec
	clientOf    func(*Worker) Client
	log         *slog.Logger
	guardian    *guardian
	credentials *credentials     // of workers; nil: ours
	memory      *memoryLimit     // nil: none
	mark        string           // K=V in the environment of our workers and nobody else's
	hub         *workerproto.Hub // where native workers meet
	nodeHub     *nodeipc.Hub     // and those of Node
	slots       []*slot

	stopping context.Context // done: bring the workers to an end
	stop     context.CancelFunc
	killing  context.Context // done: at once
	kill     context.CancelFunc

	mu      sync.Mutex
	started time.Time
	ready   bool // some worker has been ready
	failed  []failure
	fatal   error
	links   map[Link]struct{}
}

// New returns a supervisor; Run starts it. clientOf is called for each worker
// before its process exists, from several goroutines.
func New(spec Spec, clientOf func(*Worker) Client, log *slog.Logger) *Supervisor {
	s := &Supervisor{
		spec: spec, clientOf: clientOf, log: log,
		hub:     workerproto.NewHub(),
		nodeHub: nodeipc.NewHub(),
		failed:  make([]failure, spec.Workers),
		mark:    workerproto.EnvInstance + "=" + rand.Text(),
		links:   make(map[Link]struct{}),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.killing, s.kill = context.WithCancel(context.Background())
	for n := 1; n <= spec.Workers; n++ {
		s.slots = append(s.slots, newSlot(s, n))
	}
	return s
}

// Run starts the workers and keeps them running until Stop or Kill; it returns
// when the last one is gone. It returns an error at once if the command can't
// be executed, and after a while if no worker has ever become ready.
func (s *Supervisor) Run() error {
	if err := s.prepare(); err != nil {
		return err
	}
	defer s.memory.close()
	g, err := startGuardian(s.spec.Guardian, s.mark, s.log)
	if err != nil {
		return err
	}
	s.guardian = g
	defer g.close()

	s.started = time.Now()
	patience := time.AfterFunc(crashLoopPatience, s.judge)
	defer patience.Stop()
	wonder := time.AfterFunc(readySoon, s.wonder)
	defer wonder.Stop()
	var slots sync.WaitGroup
	for _, sl := range s.slots {
		slots.Go(sl.run)
	}
	slots.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fatal
}

// Stop asks for the end: drain, SIGTERM, SIGKILL, each with its time limit.
func (s *Supervisor) Stop() { s.stop() }

// Kill ends all workers at once.
func (s *Supervisor) Kill() {
	s.stop() // first: what dies of kill must not be started again
	s.kill()
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

// A failure is what is known of a slot whose workers die.
type failure struct {
	count int
	cause string
	lines []string
}

const (
	// crashLoopPatience and crashLoopFailures say when to give up on a command
	// that has never become ready: not before so long, and not before each
	// slot has failed so often.
	crashLoopPatience = 10 * time.Second
	crashLoopFailures = 3
)

// readySoon is when somebody who waits would like to hear why.
const readySoon = 5 * time.Second

// notAWorker is the likeliest reason why a command does not become ready.
const notAWorker = "is it a stickyd worker? One calls workerproto.Listen and Serve, " +
	"speaks workerproto/PROTOCOL.md, or is a Node program that calls setupWorker(io) or listens"

// wonder says so if no worker is ready after some time.
func (s *Supervisor) wonder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready && s.fatal == nil {
		s.log.Warn("no worker has said yet that it is ready", "command", s.spec.Argv, "start_timeout", s.spec.StartTimeout, "hint", notAWorker)
	}
}

// noteReady says that the command works.
func (s *Supervisor) noteReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// noteFailure says that a worker of slot n died.
func (s *Supervisor) noteFailure(n int, cause string, lines []string) {
	s.mu.Lock()
	f := &s.failed[n-1]
	f.count++
	f.cause, f.lines = cause, lines
	s.mu.Unlock()
	s.judge()
}

// noteNotStarted says that no process came of a spawn. If it is the command that
// can't be executed, and never could, that is fatal; want of processes or
// descriptors passes.
func (s *Supervisor) noteNotStarted(err error) {
	var hopeless *commandError
	if !errors.As(err, &hopeless) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready && s.fatal == nil && !s.spec.KeepTrying {
		s.fatal = err
		s.stop()
	}
}

// judge ends everything if no worker has ever become ready and each slot has
// failed several times: a typo must not loop for ever.
func (s *Supervisor) judge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready || s.fatal != nil || s.spec.KeepTrying || time.Since(s.started) < crashLoopPatience {
		return
	}
	for _, f := range s.failed {
		if f.count < crashLoopFailures {
			return
		}
	}
	s.fatal = s.crashLoopError()
	s.stop()
}

func (s *Supervisor) crashLoopError() error {
	f := s.failed[0]
	text := fmt.Sprintf("no worker has become ready: worker 1 failed %d times, at last with %s", f.count, f.cause)
	if len(f.lines) == 0 {
		text += "; it printed nothing"
	} else {
		text += "; its last lines:"
		for _, line := range f.lines {
			text += "\n    " + line
		}
	}
	return errors.New(text + "\n" + notAWorker)
}
