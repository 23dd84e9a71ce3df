package instance

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/supervisor/systemd"
	"github.com/stickyd/stickyd/workerproto/node"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// An app is the rooms, joined.
type app struct {
	program     *Program
	config      atomic.Pointer[config.Config]
	log         *logs.Logs
	table       *routing.Table
	router      *routing.Router
	front       *front.Front
	doors       *front.Doors
	sockets     *nodeipc.Sockets
	places      *places
	spec        supervisor.Spec
	supervisor  *supervisor.Supervisor
	endpoints   *admin.Endpoints
	manager     *systemd.Manager
	loop        *poll.Loop // waits for clients and workers; nil: the runtime's poller does
	preload     *node.Copy // nil: none
	before      *meta      // what another app knew when it was frozen; nil: this is the first
	started     time.Time
	upgrades    atomic.Int64
	reloads     atomic.Int64
	reloaded    supervisor.Tally           // signals that ask for a reload
	scaled      supervisor.Tally           // those that ask for a worker more, or less
	upgraded    supervisor.Tally           // those that ask for an upgrade
	tasks       sync.WaitGroup             // operations that signals began
	asked       chan struct{}              // buffered 1: to stop, on the control socket
	phase       atomic.Int32               // running, stopping or freezing
	frozen      *frozen                    // set when it goes on elsewhere
	lost        error                      // why it does not, though it was to
	ended       error                      // what the supervisor ended with, once run.Group has
	members     map[uint32]*routing.Member // of before, by incarnation, until resume
	renew       func() (wait func())       // is called by resume, and then wait; nil for none
	watched     atomic.Pointer[watched]    // what the workers are of, since the last change; nil: nobody knows
	dead        deadWorkers                // for Explain
	unpacking   sync.Mutex                 // held to use preload
	opening     sync.Mutex                 // held to change doors, endpoints, followed and defaultOpen
	sweep       chan struct{}              // buffered 1: dead sessions are in the table
	followed    bool                       // the log was told that where workers listen is ignored
	defaultOpen bool                       // stickyd listens where it does if nobody says where
}

// The phases of an app. It enters one of the two others at most, and that once.
const (
	running int32 = iota
	stopping
	freezing
)

func (a *app) goesOn() bool { return a.phase.Load() == freezing } // elsewhere

// build makes the rooms, for this table of sessions or, if it is nil, a new one.
// They have no workers, nothing runs or listens yet, and after an error all is as
// it was.
func (p *Program) build(c *config.Config, table *routing.Table) (*app, error) {
	a := &app{
		program: p, log: logs.New(c.LogFormat, c.LogLevel, os.Stdout, os.Stderr),
		started: time.Now(), asked: make(chan struct{}, 1),
		sweep:    make(chan struct{}, 1),
		reloaded: supervisor.Tally{Operation: "reload", Limit: 1},
		scaled:   supervisor.Tally{Operation: "scaling", Limit: supervisor.MaxWorkers},
		upgraded: supervisor.Tally{Operation: "upgrade", Limit: 1},
	}
	a.config.Store(c)
	sources, balancer, err := routes(c)
	if err == nil {
		a.manager, err = systemd.New(a.log.Logger)
	}
	if err == nil && c.Poller != "runtime" {
		a.loop, err = poll.NewLoop()
	}
	if err != nil {
		return a, err
	}
	if a.table = table; table == nil {
		a.table = routing.NewTable(routing.NewKey())
	}
	a.sockets = nodeipc.NewSockets(a.log.Logger)
	a.places = newPlaces(a, c.ListenByDefault)
	a.router = routing.NewRouter(balancer, a.table, func() { a.supervisor.Sync() })
	a.front = front.New(frontConfig(c, sources), a.router, a.log.Logger)
	a.doors = front.NewDoors(a.front, a.loop, a.log.Logger)
	a.endpoints = admin.NewEndpoints(a, a.log.Logger)
	a.spec = a.specOf(c, sources)
	return a, nil
}
