package supervisor

import (
	"syscall"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/supervisor/exact"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A Spec says what to run, how many times, and for whom.
type Spec struct {
	Launch // of the first generation
	Limits

	Workers int // slots

	// Memory is how much memory a worker and what it starts may use, in bytes;
	// 0: no limit. See memoryLimit.
	Memory int64

	// Loop waits for what workers say; nil: the runtime's poller does. It must
	// run for as long as Run does.
	Loop *poll.Loop

	// Rolling is told when a rolling restart of all workers begins (true) and has
	// replaced them, or failed to (false).
	Rolling func(on bool)

	// Launcher is the argv of a process that calls RunLauncher with the
	// arguments that follow. It may be nil where Launch.Process needs none.
	Launcher []string

	// Guardian is the argv of a process that calls RunGuardian.
	Guardian []string

	// Serves reports whether a socket with that local address, "host:port" or
	// "unix:/path", is a client's: whether clients connect there, or did when it was
	// accepted. It may be called from several goroutines and must not block.
	Serves func(addr string) bool

	// Places are where servers of Node workers may listen.
	Places nodeipc.Places

	// Preload returns the path of a script that each Node process among the
	// workers is to load first, see Launch.Preload. It is called before each is
	// started. nil: there is none.
	Preload func() (path string, err error)

	// Output gets each line that a worker writes, without its end. It may be
	// called from several goroutines and must not wait; line is valid during
	// the call.
	Output func(w *Worker, stream logs.Stream, line []byte)

	// Started is told of a worker before its first line, and Silent after its last
	// one, when it is dead. They must not wait; either may be nil. Of workers that
	// Resume has taken over only Silent hears.
	Started, Silent func(w *Worker)
}

// A Launch says how workers are started. Those of one generation share one,
// which nobody changes.
type Launch struct {
	Argv exact.Strings // the command; [0] is looked up in PATH
	Env  exact.Strings // K=V, added to this process's own

	Protocol      Protocol
	Serialization nodeipc.Serialization // of workers that speak Node's protocol
	Preload       Preload
	WaitReady     bool // a Node worker says when it is ready: process.send('ready')

	Process ProcessSettings

	Window   int      // see workerproto.Terms
	Sessions []string // see workerproto.Terms

	Lessons *Lessons // of its workers; NewSupervisor makes one where there is none
}

// A Preload says whether Node processes among the workers load Spec.Preload first.
type Preload string

// The ways.
const (
	PreloadAuto Preload = "auto" // they do, unless that keeps them from starting
	PreloadOn   Preload = "on"
	PreloadOff  Preload = "off"
)

// Limits say how long to wait for what. They may be changed while workers run,
// and hold for all of them from then on. All durations are positive but where
// zero is explained.
type Limits struct {
	StartTimeout time.Duration  // from exec to ready
	MinReady     time.Duration  // a worker that replaces another stays ready for so long first; may be 0
	HangTimeout  time.Duration  // nothing taken for so long while a connection waits; 0: never hung
	DumpSignal   syscall.Signal // sent to a hung worker before it is killed; 0: none
	DumpGrace    time.Duration  // between that and SIGKILL
	DrainTimeout time.Duration  // for sessions to end where a worker is replaced, and for open requests to finish
	StopTimeout  time.Duration  // between SIGTERM and SIGKILL

	// KeepTrying goes on for ever where no worker has ever become ready.
	KeepTrying bool

	Recycling

	Parallel   int // slots that a rolling restart replaces at a time
	MaxUnready int // new workers that may crash behind their trials while it goes on; one more stops it

	MaxDraining int // workers that drain or finish beside the one that has their slot's place, at least 1
}

// Clients are whom workers work for. The methods are called from several
// goroutines.
type Clients interface {
	// Join returns the client of a worker whose process does not exist yet.
	Join(w *Worker) Client

	// Rejoin returns the client that a worker had before supervision was frozen.
	Rejoin(w *Worker, incarnation uint32) (Client, error)
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

	// Remaining returns how many sessions the worker has, and how many
	// connections beside them.
	Remaining() (sessions, open int)

	// Connections returns how many the worker was handed.
	Connections() int64

	// Release: the worker gets no connection any more, and its sessions are
	// forgotten though it lives. It returns how many there were.
	Release() (sessions int)

	// Gone: the worker is dead, or will get no connection any more. untaken
	// are the connections that it never had; they are the client's now. It
	// returns how many sessions were lost.
	Gone(untaken []workerproto.Connection) (sessions int)

	workerproto.Traffic
}
