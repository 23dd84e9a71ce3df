// Command stickyd runs N copies of a server that keeps sessions in memory
// behind one port. See README.md.
//
// This file only wires the rooms together: flags become a configuration, the
// configuration becomes a router, a front and a supervisor, and these run as
// one group, in which the first that ends ends them all. When stickyd is upgraded
// in place the rooms are frozen, and wired anew from what they knew: in the new
// program, or, if that can't be executed, here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oklog/run"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/routing/session"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/supervisor/systemd"
	"github.com/stickyd/stickyd/supervisor/upgrade"
	"github.com/stickyd/stickyd/supervisor/watch"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/demo"
	"github.com/stickyd/stickyd/workerproto/node"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// Exit statuses, as the help names them.
const (
	exitStopped = 0
	exitFailed  = 1
	exitUsage   = 2
)

// The verbs by which stickyd starts itself. They are in no help.
const (
	guardianVerb   = "guardian"
	launcherVerb   = "exec-worker"
	demoWorkerVerb = "demo-worker"
)

func main() {
	os.Exit(command(os.Args[1:]))
}

// command does what the first word asks for and returns the exit status.
func command(args []string) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "help":
		fmt.Print(config.Usage(len(args) > 1 && strings.TrimLeft(args[1], "-") == "all"))
		return exitStopped
	case "version":
		fmt.Println("stickyd " + version())
		return exitStopped
	case "demo":
		return serve(append(args[1:len(args):len(args)], append([]string{"--"}, demoCommand()...)...), true)
	case demoWorkerVerb:
		return report(demo.Run())
	case guardianVerb:
		supervisor.RunGuardian(os.Stdin)
		return exitStopped
	case launcherVerb:
		supervisor.RunLauncher(args[1:])
		return exitFailed
	case upgrade.CheckArg:
		return command(args[1:]) // of which upgrade.Inherited knows that it is a check
	}
	if admin.IsVerb(verb) {
		return admin.Command(args, os.Stdout, os.Stderr)
	}
	return serve(args, false)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// self is the path to execute to get this program again.
func self() string {
	const running = "/proc/self/exe" // right even after the file was replaced
	if _, err := os.Stat(running); err == nil {
		return running
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// report prints an error for the person who started us.
func report(err error) (status int) {
	text, status := explain(err)
	os.Stderr.WriteString(text)
	return status
}

// explain puts an error into lines, none if there is no error.
func explain(err error) (text string, status int) {
	var usage *config.Error
	switch {
	case err == nil:
		return "", exitStopped
	case errors.As(err, &usage):
		return fmt.Sprintf("stickyd: %s\nstickyd help shows how to use it\n", strings.ReplaceAll(err.Error(), "\n", "\nstickyd: ")), exitUsage
	}
	return fmt.Sprintln("stickyd:", err), exitFailed
}

// serve runs the main job.
func serve(args []string, isDemo bool) int {
	takeover, err := upgrade.Inherited()
	if err != nil {
		return report(takeover.Return(err))
	}
	p := &program{args: args, isDemo: isDemo, terminal: hasTerminal(), signals: make(chan os.Signal, 8)}
	if takeover != nil && takeover.Returned() != "" {
		return p.takeOver(takeover, nil) // what the file says by now may be why it was given back
	}
	c, asked, err := load(args, isDemo)
	switch {
	case err != nil && takeover != nil:
		return report(takeover.Return(err))
	case err != nil:
		return report(err)
	case asked.Help:
		fmt.Print(config.Usage(asked.All))
		return exitStopped
	case asked.Version:
		fmt.Println("stickyd " + version())
		return exitStopped
	}
	switch {
	case takeover != nil && takeover.Checking():
		return report(checkTakeover(takeover, c))
	case takeover != nil:
		return p.takeOver(takeover, c)
	}
	a, err := p.build(c, nil)
	switch {
	case err != nil:
		return report(err)
	case asked.Check:
		fmt.Println("stickyd: the configuration is valid (command and addresses were not tried)")
		return exitStopped
	}
	err = a.start()
	if err == nil && isDemo {
		fmt.Printf("\n  The demo runs: %s\n  ^C ends it.\n\n", demo.URL(a.doors.Addrs()[0]))
	}
	return p.run(a, err)
}

// load reads the configuration.
func load(args []string, isDemo bool) (*config.Config, config.Asked, error) {
	c, asked, err := config.Load(args)
	if err != nil || c == nil || !isDemo {
		return c, asked, err
	}
	if !slices.Equal(c.Command, demoCommand()) {
		return nil, asked, &config.Error{Problems: []error{fmt.Errorf("demo takes flags, but no command: %s", c.Command[0])}}
	}
	adaptToDemo(c)
	return c, asked, nil
}

// demoCommand is this program as the demo's worker.
func demoCommand() []string { return []string{self(), demoWorkerVerb} }

// adaptToDemo changes what people who try out the demo do not expect.
func adaptToDemo(c *config.Config) {
	if slices.Equal(c.Listen, []string{config.DefaultListen}) {
		c.ListenByDefault = false
		c.Listen = []string{"127.0.0.1" + config.DefaultListen} // anybody who reaches it can kill workers
	}
	if c.LogFormat == "auto" {
		c.LogFormat = "text"
	}
}

// A program is what outlives the rooms when they are frozen and wired anew.
type program struct {
	args     []string
	isDemo   bool
	terminal bool // it was started on one
	signals  chan os.Signal
}

// run runs an app that was started, unless err says that it was not, and those
// that carry on for it, to the end of the last one.
func (p *program) run(a *app, err error) int {
	if err == nil {
		p.listenToSignals()
	}
	for err == nil {
		var next *frozen
		if next, err = a.run(); next == nil {
			break
		}
		why := next.exec(p) // returns only if it failed
		if a, err = p.carryOn(next, why); err != nil {
			break
		}
	}
	text, status := explain(err)
	a.log.Last(text) // not report: whoever reads stderr may hang
	return status
}

func (p *program) listenToSignals() {
	// A log reader that went away must not end us: writes fail instead. (Ignore
	// would be inherited by the workers.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	upgrade.Notify(p.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT,
		syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1)
		upgrade.Notify(p.signals, syscall.SIGHUP)
	}
}

// keep keeps a signal for an app to come.
func (p *program) keep(s os.Signal) {
	select {
	case p.signals <- s:
	default: // as many are there already
	}
}

// An app is the rooms, joined.
type app struct {
	program    *program
	config     atomic.Pointer[config.Config]
	log        *logs.Logs
	table      *routing.Table
	router     *routing.Router
	front      *front.Front
	doors      *front.Doors
	sockets    *front.Sockets
	supervisor *supervisor.Supervisor
	admin      *admin.Server
	manager    *systemd.Manager
	control    *admin.Listener         // nil: none
	metrics    map[string]net.Listener // by address, as configured
	loop       *poll.Loop              // waits for clients and workers; nil: the runtime's poller does
	preload    *node.Copy              // nil: none
	before     *meta                   // what another app knew when it was frozen; nil: this is the first
	started    time.Time
	upgrades   atomic.Int64
	reloads    atomic.Int64
	reloading  sync.Mutex
	tasks      sync.WaitGroup             // operations that signals began
	asked      chan struct{}              // buffered 1: to stop, on the control socket
	phase      atomic.Int32               // running, stopping or freezing
	frozen     *frozen                    // set when it goes on elsewhere
	lost       error                      // why it does not, though it was to
	ended      error                      // what the supervisor ended with, once run.Group has
	members    map[uint32]*routing.Member // of before, by incarnation, until resume
	renew      func()                     // is called by resume; nil for none
	serving    sync.WaitGroup             // of the control socket and metrics
	exposition *http.Server               // of metrics
	unpacking  sync.Mutex                 // held to use preload
	opening    sync.Mutex                 // held to change doors, and what goes with them: followed, control
	sweep      chan struct{}              // buffered 1: dead sessions are in the table
	wanted     chan string                // buffered 1: where workers would listen
	followed   bool                       // follow has dealt with that
}

// The phases of an app. It enters one of the two others at most, and that once.
const (
	running int32 = iota
	stopping
	freezing
)

func (a *app) goesOn() bool { return a.phase.Load() == freezing } // elsewhere

// build makes the rooms, from what others knew if there were any; nothing runs
// or listens yet.
func (p *program) build(c *config.Config, from *before) (*app, error) {
	a := &app{
		program: p, log: logs.New(c.LogFormat, c.LogLevel, os.Stdout, os.Stderr),
		table:   routing.NewTable(routing.NewKey()),
		metrics: make(map[string]net.Listener),
		started: time.Now(), asked: make(chan struct{}, 1),
		sweep: make(chan struct{}, 1), wanted: make(chan string, 1),
	}
	a.config.Store(c)
	sources, balancer, err := routes(c)
	if err == nil && c.Poller != "runtime" {
		a.loop, err = poll.NewLoop()
	}
	if err != nil {
		return a, err
	}
	if from != nil {
		a.table = from.table
	}
	a.sockets = front.NewSockets(a.log.Logger)
	a.router = routing.NewRouter(balancer, a.table, func() { a.supervisor.Sync() })
	a.front = front.New(frontConfig(c, sources), a.router, a.log.Logger)
	a.doors = front.NewDoors(a.front, a.loop, a.log.Logger)
	a.admin = admin.NewServer(a, a.log.Logger)
	if a.manager, err = systemd.New(a.log.Logger); err != nil {
		return a, err
	}
	spec := a.spec(c, sources)
	if from != nil {
		return a, a.restore(from, spec)
	}
	a.supervisor = supervisor.New(spec, a, a.log.Logger)
	return a, nil
}

// routes returns what the configuration says about where connections go.
func routes(c *config.Config) (session.Sources, routing.Balancer, error) {
	sources, err := session.Parse(c.Session)
	if err != nil {
		return sources, nil, &config.Error{Problems: []error{err}}
	}
	balancer, err := routing.NewBalancer(c.Balance)
	return sources, balancer, err
}

func frontConfig(c *config.Config, sources session.Sources) front.Config {
	return front.Config{
		Sessions: sources, Client: clientFrom[c.Balance], Trusted: c.TrustedProxies,
		HeadTimeout: c.HeadTimeout, HeadBytes: c.HeadBytes,
		ParkTimeout: c.ParkTimeout, QueueTimeout: c.QueueTimeout, MaxWaiting: c.MaxWaiting,
	}
}

func (a *app) spec(c *config.Config, sources session.Sources) supervisor.Spec {
	return supervisor.Spec{
		Launch: launchOf(c, sources), Limits: limitsOf(c), Workers: c.Workers,
		Rolling:  a.router.PreferNewest,
		Loop:     a.loop,
		Memory:   c.WorkerMemory,
		Launcher: []string{self(), launcherVerb},
		Guardian: []string{self(), guardianVerb},
		Listens:  a.want, Owns: a.doors.Owns, Open: a.openSocket, Reacquire: a.sockets.Reacquire,
		Preload: a.preloadPath,
		Output: func(w *supervisor.Worker, stream logs.Stream, line []byte) {
			a.log.Line(w.Slot, w.PID, stream, line)
		},
	}
}

func launchOf(c *config.Config, sources session.Sources) supervisor.Launch {
	return supervisor.Launch{
		Argv: c.Command, Env: c.Env, Preload: c.NodePreload,
		Protocol: supervisor.Protocol(c.Protocol), Serialization: nodeipc.Serialization(c.Serialization),
		Process: supervisor.ProcessSettings{User: c.User, Group: c.Group, OpenFiles: c.WorkerNoFile, Nice: c.WorkerNice},
		Window:  c.Window, Sessions: sources.Strings(),
	}
}

func limitsOf(c *config.Config) supervisor.Limits {
	return supervisor.Limits{
		StartTimeout: c.StartTimeout, MinReady: c.MinReady, HangTimeout: c.HangTimeout,
		DumpSignal: dumpSignals[c.DumpSignal], DumpGrace: c.DumpGrace,
		DrainTimeout: c.DrainTimeout, StopTimeout: c.StopTimeout,
		KeepTrying: c.OnCrashLoop == "keep",
		Recycling:  supervisor.Recycling{Age: c.RecycleAge, Connections: c.RecycleConnections, Memory: c.RecycleMemory},
		Parallel:   c.Parallel, MaxUnready: c.MaxUnready,
	}
}

var dumpSignals = map[string]syscall.Signal{
	"QUIT": syscall.SIGQUIT, "ABRT": syscall.SIGABRT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

var clientFrom = map[string]front.ClientFrom{
	"client-address": front.PeerAddress, "forwarded-for": front.ForwardedFor,
}

// start does what can fail at once: it looks for the command and listens.
func (a *app) start() error {
	c := a.config.Load()
	if c.OnCrashLoop != "keep" {
		if err := supervisor.CheckCommand(c.Command); err != nil {
			return err
		}
	}
	if c.NodePreload {
		var err error
		if a.preload, err = node.Unpack(); err != nil {
			return err
		}
	}
	err := a.listen(c)
	if err == nil {
		if err = errors.Join(a.changeMetrics(c.Metrics), a.openControl()); err != nil {
			a.doors.Close()
			a.closeAdmin()
		}
	}
	if err != nil {
		a.cleanUp()
	}
	return err
}

// listen opens the listeners, but for the default one where a service manager
// has opened some.
func (a *app) listen(c *config.Config) error {
	inherited, err := systemd.Listeners()
	supervisor.CloseOnExec()
	if err != nil {
		return err
	}
	for _, ln := range inherited {
		if err := a.doors.Adopt(ln.FD); err != nil {
			return fmt.Errorf("socket %s of the service manager: %w", ln.Name, err)
		}
	}
	if len(inherited) > 0 && c.ListenByDefault {
		c.ListenByDefault, c.Listen = false, nil
	}
	return a.doors.Open(c.Listen)
}

// openSocket opens a socket for workers, who may not have what root may.
func (a *app) openSocket(network, addr string, nth int) (fd int, release func(), err error) {
	if a.config.Load().User != "" {
		return a.sockets.OpenUnprivileged(network, addr, nth)
	}
	return a.sockets.Open(network, addr, nth)
}

// preloadPath returns the path of what Node workers load first.
func (a *app) preloadPath() (path string, err error) {
	a.unpacking.Lock()
	defer a.unpacking.Unlock()
	if a.preload == nil {
		if a.preload, err = node.Unpack(); err != nil {
			return "", err
		}
	}
	return a.preload.Preload()
}

// changeMetrics opens the listeners for metrics that are missing, and closes
// those that are not among addrs. After an error nothing has changed.
func (a *app) changeMetrics(addrs []string) error {
	opened := make(map[string]net.Listener)
	for _, addr := range addrs {
		if a.metrics[addr] != nil {
			continue
		}
		ln, err := admin.ListenMetrics(addr)
		if err != nil {
			for _, ln := range opened {
				ln.Close()
			}
			return err
		}
		opened[addr] = ln
	}
	for addr, ln := range a.metrics {
		if !slices.Contains(addrs, addr) {
			delete(a.metrics, addr)
			ln.Close()
		}
	}
	for addr, ln := range opened {
		a.metrics[addr] = ln
		a.log.Info("metrics", "addr", ln.Addr().String())
		a.serveMetrics(ln)
	}
	return nil
}

func (a *app) closeAdmin() {
	for _, ln := range a.metrics {
		ln.Close()
	}
	if a.control != nil {
		a.control.Close()
	}
}

// openControl opens the control socket. One that nobody asked for is worth no
// more than a line in the log.
func (a *app) openControl() (err error) {
	path := a.config.Load().Control
	if path == "off" {
		return nil
	}
	if path == "auto" {
		path = ""
	}
	a.control, err = admin.Listen(path, a.doors.Addrs()[0], a.log.Logger)
	if err != nil && path == "" {
		a.log.Warn("stickyd status and the like will not find this process", "err", err)
		return nil
	}
	return err
}

// cleanUp removes what start left in the file system.
func (a *app) cleanUp() {
	if a.preload != nil {
		a.preload.Remove()
	}
}

// run works until it is told to stop, or until it goes on elsewhere from what is
// returned.
func (a *app) run() (*frozen, error) {
	defer a.startReaper()()
	defer a.startLoop()()
	var g run.Group
	// Interrupts come in this order: the door closes before the workers go.
	hurry, hurryNow := context.WithCancel(context.Background())
	defer hurryNow()
	ended := make(chan struct{})
	defer close(ended)
	g.Add(a.awaitSignal(hurryNow, ended))
	g.Add(a.accept(hurry))
	g.Add(a.sweeper())
	g.Add(a.watch())
	g.Add(a.inform())
	g.Add(a.supervise(hurryNow))
	finish := a.answer()
	a.resume()
	err := g.Run()
	a.tasks.Wait()
	switch {
	case a.frozen != nil:
		a.exposition.Close()
		a.serving.Wait()
		return a.frozen, nil
	case a.goesOn():
		err = errors.Join(a.lost, a.ended)
	}
	defer a.cleanUp()
	a.front.Stop(hurry, nil) // what the last workers left is answered
	var stopped signalError
	if errors.As(err, &stopped) {
		err = nil
	}
	s := &a.front.Stats
	a.log.Info("stopped", "accepted", s.Accepted.Load(), "handed", s.Handed.Load(), "returned", s.Returned.Load(),
		"rerouted", s.Rerouted.Load(), "refused", s.Refused.Load(), "accept_pauses", s.Pauses.Load(),
		"sessions_bound", a.router.Bound(), "known_ids", s.Known.Load(), "unknown_ids", s.Unknown.Load())
	finish(err)
	return nil, err
}

// startReaper runs the reaper, until stop is called, if this is process 1.
func (a *app) startReaper() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var reaping sync.WaitGroup
	reaping.Go(func() { supervisor.NewReaper(a.log.Logger).Run(ctx) })
	return func() {
		cancel()
		reaping.Wait()
	}
}

// startLoop runs the loop, until stop is called: as long as anybody waits with
// it.
func (a *app) startLoop() (stop func()) {
	if a.loop == nil {
		return func() {}
	}
	if runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2) // the loop keeps one to itself, see poll.Loop
	}
	go a.loop.Run()
	return a.loop.Close
}

// signalError ends the group: somebody asked for it.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return "got signal " + e.String() }

// awaitSignal does what signals ask for, and ends with the first one to stop; a
// second one ends everything at once, until ended is closed.
func (a *app) awaitSignal(hurry func(), ended <-chan struct{}) (execute func() error, interrupt func(error)) {
	interrupted := make(chan struct{})
	atOnce := func(first time.Time) {
		s := next(a.program.signals, first, ended)
		if s == nil {
			return
		}
		a.log.Warn("stopping at once", "signal", s.String())
		hurry()
		a.supervisor.Kill()
	}
	return func() error {
			for {
				select {
				case s := <-a.program.signals:
					if !a.goesOn() && a.obey(s) {
						continue
					}
					if !a.phase.CompareAndSwap(running, stopping) {
						a.program.keep(s) // for who goes on
						<-interrupted
						a.keepAsked()
						return nil
					}
					a.log.Info("stopping: open requests may finish, a second signal stops at once",
						"signal", s.String(), "drain_timeout", a.config.Load().DrainTimeout)
					go atOnce(time.Now())
					return signalError{s}
				case <-a.asked:
					if !a.phase.CompareAndSwap(running, stopping) {
						a.program.keep(syscall.SIGTERM)
						<-interrupted
						return nil
					}
					a.log.Info("stopping, as asked on the control socket: open requests may finish, a signal stops at once",
						"drain_timeout", a.config.Load().DrainTimeout)
					go atOnce(time.Time{})
					return signalError{syscall.SIGTERM}
				case <-interrupted:
					if !a.goesOn() {
						go atOnce(time.Time{}) // something failed; who does not want to wait may say so
						return nil
					}
					a.keepAsked()
					return nil
				}
			}
		}, func(error) {
			close(interrupted)
			a.phase.CompareAndSwap(running, stopping)
			if c := a.config.Load(); !a.goesOn() {
				a.manager.Stopping(c.DrainTimeout + c.StopTimeout + lastWords)
			}
		}
}

// keepAsked keeps for who goes on that the control socket asked to stop.
func (a *app) keepAsked() {
	select {
	case <-a.asked:
		a.program.keep(syscall.SIGTERM)
	default:
	}
}

// lastWords is how long the end may take when the workers are gone.
const lastWords = 10 * time.Second

// next returns the next signal that is not an echo of the one that came first:
// who sends one to a whole process group, or to a process and its group, sends
// it twice. It returns nil if all has ended before.
func next(signals <-chan os.Signal, first time.Time, ended <-chan struct{}) os.Signal {
	const echo = 100 * time.Millisecond
	for {
		select {
		case s := <-signals:
			if time.Since(first) > echo && isStop(s) {
				return s
			}
		case <-ended:
			return nil
		}
	}
}

func isStop(s os.Signal) bool {
	return s == syscall.SIGINT || s == syscall.SIGTERM || s == syscall.SIGQUIT || s == syscall.SIGHUP
}

// hasTerminal reports whether this process has a controlling terminal (tty(4)).
func hasTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// obey does what a signal asks for, and returns false if that is to stop. What
// takes time goes on by itself, and says in the log how it went.
func (a *app) obey(s os.Signal) bool {
	say := func(line string) { a.log.Info(line) }
	begin := func(what string, f func() error) bool {
		a.log.Info(what, "signal", s.String())
		a.tasks.Go(func() {
			if err := f(); err != nil {
				a.log.Error("not reached", "what", what, "err", err)
			} else {
				a.log.Info("done", "what", what)
			}
		})
		return true
	}
	switch s {
	case syscall.SIGHUP:
		if a.program.terminal && !hasTerminal() {
			return false // it was closed
		}
		return begin("reload", func() error { return a.Reload(say) })
	case syscall.SIGTTIN:
		return begin("one worker more", func() error { return a.supervisor.Scale(1, true, say) })
	case syscall.SIGTTOU:
		return begin("one worker less", func() error { return a.supervisor.Scale(-1, true, say) })
	case syscall.SIGUSR2:
		a.Upgrade("", nil)
		return true
	}
	return false
}

// accept runs the listeners. Its interrupt closes them and returns when no
// client waits at the door any more.
func (a *app) accept(hurry context.Context) (execute func() error, interrupt func(error)) {
	ended, done := make(chan struct{}), make(chan struct{})
	return func() error {
			go func() {
				defer close(done)
				for {
					select {
					case addr := <-a.wanted:
						a.follow(addr)
					case <-ended:
						return
					}
				}
			}()
			return a.doors.Serve()
		}, func(error) {
			close(ended)
			<-done
			if a.goesOn() {
				return
			}
			c := a.config.Load()
			ctx, cancel := context.WithTimeout(hurry, min(c.QueueTimeout, c.DrainTimeout))
			defer cancel()
			a.doors.Stop(ctx)
		}
}

// want notes that workers would listen on addr, were there no stickyd.
func (a *app) want(addr string) {
	select {
	case a.wanted <- addr:
	default: // it hears of it from every worker
	}
}

// follow listens where the first worker wants to, if the user has not said
// where, in place of the default.
func (a *app) follow(addr string) {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.followed || a.goesOn() {
		return
	}
	a.followed = true
	c := a.config.Load()
	if !c.ListenByDefault || strings.HasSuffix(addr, ":0") {
		a.log.Info("workers get their connections from stickyd; the address that they listen on is ignored",
			"addr", addr, "listen", strings.Join(c.Listen, " "))
		return
	}
	if slices.Contains(c.Listen, addr) {
		return
	}
	if err := a.doors.Change(impatient(), []string{addr}); err != nil {
		a.log.Error("cannot listen where the workers want to", "addr", addr, "err", err, "listen", strings.Join(c.Listen, " "))
		return
	}
	a.log.Info("that is where the workers want to listen", "addr", addr)
	a.renameControl()
}

// renameControl gives the control socket the name of where clients connect.
func (a *app) renameControl() {
	if a.control == nil {
		return
	}
	if err := a.control.Follow(a.doors.Addrs()[0]); err != nil {
		a.log.Warn("the control socket keeps its name", "path", a.control.Path(), "err", err)
	}
}

// impatient is a context that is done.
func impatient() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// supervise runs the workers. Stop only asks; Run returns once the last one is
// gone, the drain and stop timeouts later at worst.
func (a *app) supervise(hurry func()) (execute func() error, interrupt func(error)) {
	return func() error {
			defer hurry() // there is nobody left to wait for
			a.ended = a.supervisor.Run()
			return a.ended
		}, func(error) {
			if !a.goesOn() {
				a.supervisor.Stop()
			}
		}
}

// remembered is for how long it is known of a dead worker's sessions whose they
// were.
const remembered = time.Minute

// sweeper frees the space of dead workers' sessions, some time after they died.
func (a *app) sweeper() (execute func() error, interrupt func(error)) {
	ended := make(chan struct{})
	return func() error {
			var due <-chan time.Time
			for {
				select {
				case <-a.sweep:
					if due == nil {
						due = time.After(remembered)
					}
				case <-due:
					due = nil
					a.log.Debug("swept the session table", "entries", a.table.Sweep(time.Now().Add(-remembered)))
					if a.table.Remembers() {
						due = time.After(remembered)
					}
				case <-ended:
					return nil
				}
			}
		}, func(error) {
			close(ended)
		}
}

// watch restarts the workers when their files change.
func (a *app) watch() (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	return func() error {
			paths := a.config.Load().Watch
			if len(paths) == 0 {
				<-ctx.Done()
				return nil
			}
			watch.Files(ctx, paths, func() {
				a.log.Info("files have changed, replacing the workers", "watch", paths)
				if err := a.supervisor.Restart(supervisor.Rollout{MaxUnready: -1}, func(string) {}); err != nil {
					a.log.Error("the workers are as they were", "err", err)
				}
			})
			return nil
		}, func(error) {
			cancel()
		}
}

// answer runs the control socket and the metrics, until finish is called: who
// looks at how workers drain must not be shut out. That they fail is worth a
// line in the log.
func (a *app) answer() (finish func(error)) {
	a.exposition = admin.NewMetrics(a, a.log.Logger)
	for _, ln := range a.metrics {
		a.serveMetrics(ln)
	}
	if a.control != nil {
		a.serveAdmin("control socket", func() error { return a.admin.Serve(a.control) })
	}
	return func(err error) {
		a.admin.Finish(err)
		a.closeAdmin()
		a.serving.Wait()
	}
}

func (a *app) serveMetrics(ln net.Listener) {
	if a.exposition != nil {
		a.serveAdmin("metrics", func() error { return a.exposition.Serve(ln) })
	}
}

func (a *app) serveAdmin(what string, f func() error) {
	a.serving.Go(func() {
		if err := f(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("nobody is answered any more", "on", what, "err", err)
		}
	})
}

// The methods that follow are called by the control socket.

// Stop asks for the end.
func (a *app) Stop() {
	select {
	case a.asked <- struct{}{}:
	default: // it was asked already
	}
}

// Restart replaces workers.
func (a *app) Restart(o admin.RestartOptions, say func(string)) error {
	unready := o.MaxUnready
	if unready == 0 {
		unready = -1 // as configured
	}
	return a.supervisor.Restart(supervisor.Rollout{Slots: o.Slots, Parallel: o.Parallel, MaxUnready: unready}, say)
}

// Scale changes the number of workers.
func (a *app) Scale(s admin.Scale, say func(string)) error {
	return a.supervisor.Scale(s.N, s.Relative, say)
}

// Drain empties a slot.
func (a *app) Drain(slot int, say func(string)) error { return a.supervisor.Drain(slot, say) }

// Logs returns what workers printed.
func (a *app) Logs() *logs.Ring[logs.Line] { return a.log.Lines() }

// Events returns what stickyd logged.
func (a *app) Events() *logs.Ring[logs.Event] { return a.log.Events() }

// Reload reads the configuration again and makes it hold. It returns when the
// workers that are replaced are gone; from when they only drain on, another
// reload or an upgrade may follow.
func (a *app) Reload(say func(string)) error {
	wait, err := a.reload(say)
	return errors.Join(err, wait())
}

// reload is Reload without the wait, which must be called.
func (a *app) reload(say func(string)) (wait func() error, err error) {
	if !a.reloading.TryLock() {
		return noWait, errors.New("a reload or an upgrade is under way")
	}
	defer a.reloading.Unlock()
	now, asked, err := load(a.program.args, a.program.isDemo)
	if err != nil {
		return noWait, fmt.Errorf("nothing was changed: %w", err)
	}
	if now == nil || asked.Check {
		return noWait, errors.New("nothing was changed: stickyd was not started to run")
	}
	if len(config.Changes(a.config.Load(), now)) == 0 {
		say("nothing has changed")
	}
	defer a.manager.Reloading()()
	wait, err = a.change(now, say)
	if err == nil {
		a.reloads.Add(1)
	}
	return wait, err
}

func noWait() error { return nil }

// change makes another configuration hold. Listeners come first: where they
// can't be had nothing is changed. What fails later is as it was before. wait,
// which must be called, returns when the workers are gone that are not to stay.
func (a *app) change(now *config.Config, say func(string)) (wait func() error, err error) {
	old := a.config.Load()
	changes := config.Changes(old, now)
	if len(changes) == 0 {
		return noWait, nil
	}
	sources, balancer, err := routes(now)
	if err == nil && len(changes[config.Listened]) > 0 {
		say("listeners: " + strings.Join(changes[config.Listened], ", "))
		err = a.changeListeners(old, now)
	}
	if err != nil {
		return noWait, fmt.Errorf("nothing was changed: %w", err)
	}
	a.supervisor.SetLimits(limitsOf(now))
	a.front.SetConfig(frontConfig(now, sources))
	if old.Balance != now.Balance {
		a.router.SetBalancer(balancer)
	}
	a.log.SetLevel(now.LogLevel)
	if names := changes[config.Swapped]; len(names) > 0 {
		say("changed: " + strings.Join(names, ", "))
	}
	var failed []error
	replaced, scaled := noWait, noWait
	if names := changes[config.Replaced]; len(names) > 0 {
		say("a rolling restart, for: " + strings.Join(names, ", "))
		launch := launchOf(now, sources)
		if replaced, err = a.supervisor.Adopt(&launch, say); err != nil {
			failed = append(failed, err)
			config.Keep(now, old, config.Replaced)
			replaced = noWait
		}
	}
	if len(changes[config.Scaled]) > 0 {
		if scaled, err = a.supervisor.Resize(now.Workers, say); err != nil {
			failed = append(failed, err)
			config.Keep(now, old, config.Scaled)
			scaled = noWait
		}
	}
	if names := changes[config.OnUpgrade]; len(names) > 0 {
		say("only an upgrade, or another start, changes: " + strings.Join(names, ", "))
	}
	if names := changes[config.OnStart]; len(names) > 0 {
		say("only another start changes: " + strings.Join(names, ", "))
	}
	config.Keep(now, old, config.OnUpgrade, config.OnStart)
	a.config.Store(now)
	return func() error { return errors.Join(replaced(), scaled()) }, errors.Join(failed...)
}

// closePatience is how long clients have to send their first request to a
// listener that a reload takes away: the kernel has that long kept them to itself.
const closePatience = 5 * time.Second

func (a *app) changeListeners(old, now *config.Config) error {
	a.opening.Lock()
	defer a.opening.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	context.AfterFunc(ctx, cancel)
	if err := a.changeMetrics(now.Metrics); err != nil {
		cancel()
		return err
	}
	if !slices.Equal(old.Listen, now.Listen) {
		if err := a.doors.Change(ctx, now.Listen); err != nil {
			cancel()
			return errors.Join(err, a.changeMetrics(old.Metrics))
		}
		a.renameControl()
	}
	return nil
}

// Explain says what is known of a session.
func (a *app) Explain(id []byte) admin.Explanation {
	e := a.router.Explain(id)
	out := admin.Explanation{Slot: e.Slot, Generation: e.Generation}
	switch e.Lookup {
	case routing.Found, routing.Rescued:
		out.State = admin.Owned
		for _, sl := range a.supervisor.Status() {
			if sl.Incarnation == uint32(e.Incarnation) {
				out.PID, out.WorkerSince = sl.PID, sl.Started
			}
		}
	case routing.Dead:
		out.State, out.DiedAt = admin.Dead, e.Died
	default:
		out.State = admin.Unknown
	}
	return out
}

// Status says what there is.
func (a *app) Status() admin.Status {
	lookups := a.router.Lookups()
	s := admin.Status{
		Version: version(), PID: os.Getpid(), Started: a.started, Stopping: a.phase.Load() == stopping,
		Operation: a.supervisor.Operation(), Generation: a.supervisor.Generation(),
		Sessions: a.table.Len(), SessionTableBytes: int64(a.table.Bytes()), Counters: a.counters(),
		Lookups: admin.Lookups{
			Owner: lookups.Found, Rescued: lookups.Rescued, DeadOwner: lookups.Dead, NeverSeen: lookups.Never,
			None: a.front.Stats.Without.Load(),
		},
		Head: histogram(&a.front.Stats.HeadWait), Queue: histogram(&a.front.Stats.QueueWait),
	}
	for _, addr := range a.doors.Addrs() {
		s.Listen = append(s.Listen, addr.String())
	}
	members := make(map[uint32]routing.MemberStatus)
	for _, m := range a.router.Members() {
		members[uint32(m.Incarnation)] = m
	}
	for _, sl := range a.supervisor.Status() {
		s.Workers = append(s.Workers, workerStatus(sl, members[sl.Incarnation]))
	}
	ends := a.supervisor.Ends()
	for _, o := range a.router.Outcomes() {
		s.Slots = append(s.Slots, admin.Slot{
			Slot: o.Slot, Handed: o.Handed, Returned: o.Returned, Rerouted: o.Rerouted, Ends: ends[o.Slot],
		})
	}
	return s
}

func histogram(h *front.Histogram) admin.Histogram {
	bounds, counts, sum := h.Snapshot()
	return admin.Histogram{Bounds: bounds, Counts: counts, Sum: sum}
}

func workerStatus(sl supervisor.SlotStatus, m routing.MemberStatus) admin.Worker {
	resident, cpu, _ := supervisor.ProcessUsage(sl.PID)
	return admin.Worker{
		Slot: sl.Slot, Generation: sl.Generation, State: sl.State, Why: sl.Why, DrainsUntil: sl.Until,
		Since: sl.Since, PID: sl.PID, Started: sl.Started,
		Sessions: m.Sessions, Untaken: m.Untaken, Open: m.Open,
		Restarts: max(sl.Starts-1, 0), Deaths: sl.Deaths, LastExit: sl.Cause, Next: sl.Next,
		ResidentBytes: resident, CPUSeconds: cpu.Seconds(),
	}
}

func (a *app) counters() admin.Counters {
	s := &a.front.Stats
	return admin.Counters{
		Accepted: s.Accepted.Load(), Handed: s.Handed.Load(), Returned: s.Returned.Load(),
		Rerouted: s.Rerouted.Load(), Refused: s.Refused.Load(),
		Known: s.Known.Load(), Unknown: s.Unknown.Load(), Without: s.Without.Load(),
		Abandoned: s.Abandoned.Load(), Pauses: s.Pauses.Load(), Bound: a.router.Bound(),
		Upgrades: a.upgrades.Load(), Reloads: a.reloads.Load(),
	}
}

// inform keeps the service manager informed, until the end has begun.
func (a *app) inform() (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	return func() error {
			a.manager.Watch(ctx, a.alive, a.summary)
			return nil
		}, func(error) {
			cancel()
		}
}

// alive reports whether the loop, through which all clients come, goes on, and
// whether the router answers.
func (a *app) alive(soon context.Context) bool {
	a.router.Members()
	return a.loop == nil || a.loop.Turns(soon)
}

// summary is the state in a line.
func (a *app) summary() string {
	all, ready := a.supervisor.Status(), 0
	for _, sl := range all {
		if sl.State == "ready" {
			ready++
		}
	}
	text := fmt.Sprintf("%d of %d workers ready", ready, len(all))
	if now := a.supervisor.Operation(); now != "" {
		text += "; " + now
	}
	return text
}

// What follows is the upgrade: how the rooms are frozen, and wired anew.

// A meta is what the rooms knew when they were frozen, beside the session
// table. It owns the descriptors in it.
type meta struct {
	Config     config.Config
	Started    time.Time
	At         time.Time // when accepting ended
	Upgrades   int64
	Reloads    int64
	Followed   bool
	Preload    string // directory
	Listeners  []front.ListenerState
	Front      front.State
	Sockets    []front.SocketState
	Router     routing.RouterState
	Members    []routing.MemberState
	Supervisor *supervisor.State // nil in what is only to be checked
	Control    *admin.ListenerState
	Metrics    map[string]admin.ListenerState
	Caller     int // who asked for it; -1: nobody
	Logs       logs.State
}

// table is the name of the session table in a state.
const table = "sessions"

// descriptors returns what m owns.
func (m *meta) descriptors() (fds []int) {
	for _, ln := range m.Listeners {
		fds = append(fds, ln.FD)
	}
	for _, w := range m.Front.Waiting {
		fds = append(fds, w.FD)
	}
	for _, s := range m.Sockets {
		fds = append(fds, s.FD)
	}
	fds = append(fds, m.Supervisor.Descriptors()...)
	if m.Control != nil {
		fds = append(fds, m.Control.FD)
	}
	for _, ln := range m.Metrics {
		fds = append(fds, ln.FD)
	}
	if m.Caller >= 0 {
		fds = append(fds, m.Caller)
	}
	return fds
}

// A frozen is an app that is to go on in another program.
type frozen struct {
	before
	state  *os.File // for that program
	failed error    // why there is none
	binary string
}

// exec returns only with an error.
func (f *frozen) exec(p *program) error {
	if f.failed != nil {
		return f.failed
	}
	defer f.state.Close()
	plan := upgrade.Plan{Binary: f.binary, Args: os.Args, Env: os.Environ(), State: f.state, FDs: f.meta.descriptors()}
	for len(p.signals) > 0 {
		plan.Signals = append(plan.Signals, (<-p.signals).(syscall.Signal))
	}
	err := plan.Exec()
	for _, s := range plan.Signals { // they are still to be acted on
		p.keep(s)
	}
	return err
}

// A before is what an app is built from where there was one before.
type before struct {
	meta  *meta
	table *routing.Table
}

func readBefore(s *upgrade.State) (*before, error) {
	b := &before{meta: new(meta)}
	if err := s.Meta(b.meta); err != nil {
		return nil, err
	}
	r, ok := s.Blob(table)
	if !ok {
		return nil, errors.New("the state has no session table")
	}
	var err error
	b.table, err = routing.ReadTable(r)
	return b, err
}

// checkTakeover says whether this program could take over.
func checkTakeover(t *upgrade.Takeover, c *config.Config) error {
	if _, err := readBefore(t.State); err != nil {
		return err
	}
	if _, _, err := routes(c); err != nil {
		return err
	}
	return t.Passed()
}

// takeOver goes on where another program was, as c says, or is the old program
// again, which the new one has given back to, as it was.
func (p *program) takeOver(t *upgrade.Takeover, c *config.Config) int {
	b, err := readBefore(t.State)
	if err != nil {
		return report(t.Return(err))
	}
	if t.Returned() != "" {
		c = &b.meta.Config
		err = errors.New(t.Returned())
	}
	a, buildErr := p.rebuild(c, b, err)
	t.Close()
	return p.run(a, buildErr)
}

// carryOn goes on here with what was frozen for another program, because of why.
// It needs nothing that might not be had.
func (p *program) carryOn(f *frozen, why error) (*app, error) {
	return p.rebuild(&f.meta.Config, &f.before, why)
}

// rebuild wires the rooms anew. failed is why that is not in the new program, nil
// if it is.
func (p *program) rebuild(c *config.Config, b *before, failed error) (*app, error) {
	start := *c // with what takes more than to say so: change does that
	config.Keep(&start, &b.meta.Config, config.Listened, config.Scaled, config.Replaced, config.OnStart)
	a, err := p.build(&start, b)
	if err != nil {
		return a, err
	}
	gap := time.Since(b.meta.At).Round(10 * time.Microsecond)
	caller, err := admin.Attach(b.meta.Caller)
	if err != nil {
		a.log.Warn("who asked for the upgrade can't be told", "err", err)
	}
	if failed != nil {
		a.log.Error("upgrade failed, this program goes on", "err", failed, "accepting_paused", gap)
		caller.End(fmt.Errorf("%w; the old program goes on, after %v in which nobody was accepted", failed, gap))
		return a, nil
	}
	a.upgrades.Add(1)
	a.log.Info("upgraded", "version", version(), "accepting_paused", gap, "sessions", a.table.Len())
	a.renew = func() {
		caller.Say(fmt.Sprintf("%s runs, after %v in which nobody was accepted", version(), gap))
		a.reloading.Lock()
		wait, err := a.change(c, caller.Say)
		a.reloading.Unlock()
		if err != nil {
			a.log.Error("not all of the new configuration holds", "err", err)
		}
		caller.End(errors.Join(err, wait()))
	}
	return a, nil
}

// restore fills the rooms with what they knew.
func (a *app) restore(b *before, spec supervisor.Spec) (err error) {
	m := b.meta
	a.started, a.followed, a.before = m.Started, m.Followed, m
	a.upgrades.Store(m.Upgrades)
	a.reloads.Store(m.Reloads)
	a.log.Restore(m.Logs)
	a.router.Restore(m.Router)
	a.sockets.Restore(m.Sockets)
	if m.Preload != "" {
		a.preload = node.Reuse(m.Preload)
	}
	if a.supervisor, err = supervisor.Resume(spec, m.Supervisor, a, a.log.Logger); err != nil {
		return fmt.Errorf("cannot take over the workers: %w", err)
	}
	a.sockets.Settle()
	for _, ln := range m.Listeners {
		if err := a.doors.Restore(ln); err != nil {
			a.log.Error("clients are accepted there no longer", "addr", ln.Addr, "err", err)
			syscall.Close(ln.FD) // else they would queue up
		}
	}
	if len(a.doors.Addrs()) == 0 {
		return errors.New("cannot take over any listener")
	}
	for addr, state := range m.Metrics {
		if a.metrics[addr], err = admin.AdoptMetrics(state); err != nil {
			a.log.Error("a listener for metrics is opened anew", "addr", addr, "err", err)
			delete(a.metrics, addr)
		}
	}
	if err := a.changeMetrics(m.Config.Metrics); err != nil {
		a.log.Error("metrics are served there no longer", "err", err)
	}
	if m.Control != nil {
		if a.control, err = admin.Adopt(*m.Control, a.log.Logger); err != nil {
			a.log.Error("the control socket is opened anew", "err", err)
			a.control = nil
		}
	}
	if a.control != nil && a.config.Load().Control == m.Config.Control {
		return nil
	}
	if a.control != nil {
		a.control.Close()
		a.control = nil
	}
	if err := a.openControl(); err != nil { // clients are served all the same
		a.log.Error("nobody can ask or tell this process anything", "err", err)
		a.control = nil
	}
	return nil
}

// resume lets go on what waited while the app was frozen.
func (a *app) resume() {
	if a.before == nil {
		return
	}
	members := a.members
	a.front.Resume(a.before.Front, func(incarnation uint32) *routing.Member { return members[incarnation] })
	a.before, a.members = nil, nil
	if slices.ContainsFunc(a.supervisor.Status(), func(sl supervisor.SlotStatus) bool { return sl.State == "ready" }) {
		a.manager.Ready()
	}
	if a.renew != nil {
		a.tasks.Go(a.renew)
	}
}

// Rejoin is called by the supervisor for each worker that was there before.
func (a *app) Rejoin(w *supervisor.Worker, incarnation uint32) (supervisor.Client, error) {
	i := slices.IndexFunc(a.before.Members, func(m routing.MemberState) bool { return uint32(m.Incarnation) == incarnation })
	t := &target{app: a, worker: w}
	if i < 0 {
		// It was removed, as is one that finishes, and gets nothing more.
		t.member = a.router.Join(routing.Seat{Slot: w.Slot, Generation: w.Generation, Window: w.Window()}, t)
		t.remove()
		return t, nil
	}
	var err error
	if t.member, err = a.router.Rejoin(a.before.Members[i], t); err != nil {
		return nil, err
	}
	if a.members == nil {
		a.members = make(map[uint32]*routing.Member)
	}
	a.members[incarnation] = t.member
	return t, nil
}

// Upgrade lets another binary, or the one that was started as it is on disk now,
// take over in place.
func (a *app) Upgrade(binary string, c *admin.Caller) {
	a.tasks.Go(func() {
		err := a.upgrade(binary, c)
		switch {
		case err == nil:
			return
		case errors.Is(err, errLost):
			a.log.Error("upgrade failed, stickyd ends", "err", err)
		default:
			a.log.Error("upgrade failed, nothing has changed", "err", err)
		}
		c.End(err)
	})
}

func (a *app) upgrade(binary string, c *admin.Caller) error {
	end, err := a.supervisor.Begin("upgrade")
	if err != nil {
		return err
	}
	defer end()
	if !a.reloading.TryLock() {
		return errors.New("a reload is under way")
	}
	defer a.reloading.Unlock()
	a.doors.Settle() // those that a reload has taken away
	path, err := upgrade.Binary(binary)
	if err != nil {
		return err
	}
	a.log.Info("upgrading", "binary", path)
	c.Say("checking " + path)
	if err := a.check(path); err != nil {
		return err
	}
	c.Say("it can take over")
	return a.freeze(path, c)
}

// check has the binary look at what there is now, as far as that can be seen
// while it is at work.
func (a *app) check(path string) error {
	m := &meta{
		Config: *a.config.Load(), Started: a.started, Upgrades: a.upgrades.Load(), Router: a.router.State(),
		Logs: a.log.State(), Caller: -1,
	}
	state, err := a.write(m)
	if err != nil {
		return err
	}
	defer state.Close()
	plan := upgrade.Plan{
		Binary: path, Args: os.Args, Env: os.Environ(), State: state,
		Start: supervisor.StartChild, Wait: supervisor.WaitChild,
	}
	return plan.Check(context.Background())
}

func (a *app) write(m *meta) (*os.File, error) {
	return upgrade.Write(m, map[string]func(io.Writer) error{table: func(w io.Writer) error {
		_, err := a.table.WriteTo(w)
		return err
	}})
}

// freeze puts down the rooms: first nobody is answered, then nobody accepted, then
// the workers are left alone. From the first step that can't be taken back on
// there is only the way forward, which leads to carryOn if need be: what goes
// wrong costs what it is about, or is what exec fails with, and no more. Only
// where the workers are not to be had, since they have come to their end, does
// the process end.
func (a *app) freeze(path string, c *admin.Caller) (err error) {
	if !a.phase.CompareAndSwap(running, freezing) {
		return supervisor.ErrStopping
	}
	a.admin.Freeze()
	a.opening.Lock()
	defer a.opening.Unlock()
	m := &meta{
		Config: *a.config.Load(), Started: a.started, Upgrades: a.upgrades.Load(), Reloads: a.reloads.Load(),
		Followed: a.followed, Metrics: make(map[string]admin.ListenerState),
		At: time.Now(),
	}
	if m.Listeners, err = a.doors.Detach(); err != nil {
		a.log.Error("clients are accepted there no longer", "err", err)
	}
	a.front.Freeze()
	if m.Supervisor, err = a.supervisor.Freeze(); err != nil {
		a.lost = fmt.Errorf("%w: %w", errLost, err)
		return a.lost
	}
	m.Front = a.front.State()
	m.Sockets = a.sockets.State()
	m.Router = a.router.State()
	m.Members = a.router.MemberStates()
	a.detachAdmin(m)
	if a.preload != nil {
		m.Preload = a.preload.Dir()
	}
	if m.Caller, err = c.Detach(); err != nil {
		a.log.Warn("who asked for the upgrade will not be told of its end", "err", err)
	}
	m.Logs = a.log.State()
	f := &frozen{before: before{m, a.table}, binary: path}
	f.state, f.failed = a.write(m)
	a.log.Close()
	a.frozen = f
	return nil
}

// errLost is what an upgrade ends with that is the end of stickyd as well.
var errLost = errors.New("the workers can't be taken along")

// detachAdmin puts the listeners of the control socket and of metrics into m.
func (a *app) detachAdmin(m *meta) {
	if a.control != nil {
		if state, err := a.control.Detach(); err == nil {
			m.Control = &state
		} else {
			a.log.Error("the control socket is opened anew", "err", err)
			a.control.Close()
		}
	}
	for addr, ln := range a.metrics {
		if state, err := admin.DetachMetrics(ln); err == nil {
			m.Metrics[addr] = state
		} else {
			a.log.Error("a listener for metrics is opened anew", "addr", addr, "err", err)
			ln.Close()
		}
	}
}

// A target makes a worker a routing target: what the router decides goes to
// the worker's link, and what the worker says goes to the router.
type target struct {
	app    *app
	worker *supervisor.Worker
	member *routing.Member
	handed atomic.Int64
}

// Join is called by the supervisor for each new worker.
func (a *app) Join(w *supervisor.Worker) supervisor.Client {
	t := &target{app: a, worker: w}
	t.member = a.router.Join(routing.Seat{Slot: w.Slot, Generation: w.Generation, Window: w.Window()}, t)
	return t
}

// Hand is called by the front.
func (t *target) Hand(c front.Conn, session bool) error {
	t.handed.Add(1)
	return t.worker.Link.Hand(workerproto.Connection{FD: c.FD, Replay: c.Replay, Refusals: c.Refusals, Session: session})
}

// Flush is called by the front.
func (t *target) Flush() { t.worker.Link.Flush() }

func (t *target) Incarnation() uint32 { return uint32(t.member.Incarnation()) }

func (t *target) Ready() {
	t.app.router.Add(t.member, t.worker.Link.RegistersLate())
	t.app.manager.Ready() // whoever waits for that can connect
}

func (t *target) Draining() { t.app.router.Retire(t.member) }

func (t *target) Gone(untaken []workerproto.Connection) (sessions int) {
	sessions = t.remove()
	for _, c := range untaken {
		t.reroute(c, false)
	}
	return sessions
}

func (t *target) Remaining() (sessions, open int) { return t.app.router.Remaining(t.member) }

func (t *target) Connections() int64 { return t.handed.Load() }

func (t *target) Release() (sessions int) { return t.remove() }

// Unreachable: another worker tells the clients that their sessions are gone.
func (t *target) Unreachable() {
	if sessions := t.remove(); sessions > 0 {
		t.app.log.Warn("a worker takes no more connections, so its sessions are lost", "slot", t.worker.Slot, "pid", t.worker.PID, "sessions_lost", sessions)
	}
}

// remove takes the worker out of the router, once, and returns how many sessions
// that costs.
func (t *target) remove() (sessions int) {
	sessions = t.app.router.Remove(t.member, time.Now())
	if sessions > 0 {
		select {
		case t.app.sweep <- struct{}{}:
		default:
		}
	}
	return sessions
}

func (t *target) Bind(id []byte) bool {
	err := t.app.router.Bind(t.member, id)
	if err != nil {
		// A session id is a credential: no log gets it whole.
		t.app.log.Warn("session refused", "slot", t.worker.Slot, "pid", t.worker.PID, "id", string(id[:min(4, len(id)/4)])+"…", "err", err)
	}
	return err == nil
}

func (t *target) Unbind(id []byte) { t.app.router.Unbind(t.member, id) }
func (t *target) Taken(n int)      { t.app.router.Taken(t.member, n) }
func (t *target) Settled(n int)    { t.app.router.Settled(t.member, n) }

func (t *target) Leaving() { t.app.router.Retire(t.member) }

func (t *target) Returned(c workerproto.Connection) { t.reroute(c, true) }

func (t *target) Declined(c workerproto.Connection) {
	t.app.router.Release(routing.Route{Member: t.member, Session: c.Session})
	t.reroute(c, false)
}

func (t *target) reroute(c workerproto.Connection, returned bool) {
	t.app.front.Reroute(front.Conn{FD: c.FD, Replay: c.Replay, Refusals: c.Refusals}, t.member, returned)
}
