// Command stickyd runs N copies of a server that keeps sessions in memory
// behind one port. See README.md.
//
// This file only wires the rooms together: flags become a configuration, the
// configuration becomes a router, a front and a supervisor, and these run as
// one group, in which the first that ends ends them all.
package main

import (
	"context"
	"errors"
	"fmt"
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
	c, asked, err := config.Load(args)
	switch {
	case err != nil:
		return report(err)
	case asked.Help:
		fmt.Print(config.Usage(asked.All))
		return exitStopped
	case asked.Version:
		fmt.Println("stickyd " + version())
		return exitStopped
	}
	if isDemo {
		if !slices.Equal(c.Command, demoCommand()) {
			return report(&config.Error{Problems: []error{fmt.Errorf("demo takes flags, but no command: %s", c.Command[0])}})
		}
		adaptToDemo(c)
	}
	a, err := build(c)
	switch {
	case err != nil:
		return report(err)
	case asked.Check:
		fmt.Println("stickyd: the configuration is valid (command and addresses were not tried)")
		return exitStopped
	}
	err = a.start()
	if err == nil {
		if isDemo {
			fmt.Printf("\n  The demo runs: %s\n  ^C ends it.\n\n", demo.URL(a.listeners[0].Addr()))
		}
		err = a.run()
	}
	text, status := explain(err)
	a.log.Last(text) // not report: whoever reads stderr may hang
	return status
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

// An app is the rooms, joined.
type app struct {
	config     *config.Config
	log        *logs.Logs
	table      *routing.Table
	router     *routing.Router
	front      *front.Front
	supervisor *supervisor.Supervisor
	admin      *admin.Server
	manager    *systemd.Manager
	control    *admin.Listener // nil: none
	metrics    []net.Listener
	loop       *poll.Loop        // waits for clients and workers; nil: the runtime's poller does
	listeners  []*front.Listener // set by setListeners
	preload    *node.Copy        // nil: none
	open       atomic.Pointer[[]*front.Listener]
	started    time.Time
	asked      chan struct{} // buffered 1: to stop, on the control socket
	stopping   atomic.Bool
	sweep      chan struct{} // buffered 1: dead sessions are in the table
	wanted     chan string   // buffered 1: where workers would listen
	followed   bool          // accept has dealt with that
}

// build makes the rooms; nothing runs or listens yet.
func build(c *config.Config) (*app, error) {
	sources, err := session.Parse(c.Session)
	if err != nil {
		return nil, &config.Error{Problems: []error{err}}
	}
	balancer, err := routing.NewBalancer(c.Balance)
	if err != nil {
		return nil, err
	}
	var loop *poll.Loop
	if c.Poller != "runtime" {
		if loop, err = poll.NewLoop(); err != nil {
			return nil, err
		}
	}
	a := &app{
		config: c, loop: loop, log: logs.New(c.LogFormat, c.LogLevel, os.Stdout, os.Stderr),
		table:   routing.NewTable(routing.NewKey()),
		started: time.Now(), asked: make(chan struct{}, 1),
		sweep: make(chan struct{}, 1), wanted: make(chan string, 1),
	}
	a.supervisor = supervisor.New(supervisor.Spec{
		Argv: c.Command, Env: c.Env, Workers: c.Workers,
		Protocol: supervisor.Protocol(c.Protocol), Serialization: nodeipc.Serialization(c.Serialization),
		Window: c.Window, Sessions: sources.Strings(),
		StartTimeout: c.StartTimeout, HangTimeout: c.HangTimeout,
		DumpSignal: dumpSignals[c.DumpSignal], DumpGrace: c.DumpGrace,
		DrainTimeout: c.DrainTimeout, StopTimeout: c.StopTimeout,
		KeepTrying: c.OnCrashLoop == "keep",
		Loop:       a.loop,
		Guardian:   []string{self(), guardianVerb},
		Listens:    a.want, Owns: a.owns, Open: front.NewSockets(a.log.Logger).Open,
		Preload: a.unpacked(c.NodePreload),
		Output: func(w *supervisor.Worker, stream logs.Stream, line []byte) {
			a.log.Line(w.Slot, w.PID, stream, line)
		},
	}, func(w *supervisor.Worker) supervisor.Client { return a.join(w) }, a.log.Logger)
	a.router = routing.NewRouter(balancer, a.table, a.supervisor.Sync)
	a.front = front.New(front.Config{
		Sessions: sources, Client: clientFrom[c.Balance], Trusted: c.TrustedProxies,
		HeadTimeout: c.HeadTimeout, HeadBytes: c.HeadBytes,
		ParkTimeout: c.ParkTimeout, QueueTimeout: c.QueueTimeout, MaxWaiting: c.MaxWaiting,
	}, a.router, a.log.Logger)
	a.admin = admin.NewServer(a, a.log.Logger)
	a.manager, err = systemd.New(a.log.Logger)
	return a, err
}

var dumpSignals = map[string]syscall.Signal{
	"QUIT": syscall.SIGQUIT, "ABRT": syscall.SIGABRT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

var clientFrom = map[string]front.ClientFrom{
	"client-address": front.PeerAddress, "forwarded-for": front.ForwardedFor,
}

// start does what can fail at once: it looks for the command and listens.
func (a *app) start() error {
	if a.config.OnCrashLoop != "keep" {
		if err := supervisor.CheckCommand(a.config.Command); err != nil {
			return err
		}
	}
	if a.config.NodePreload {
		var err error
		if a.preload, err = node.Unpack(); err != nil {
			return err
		}
	}
	err := a.listen()
	if err == nil {
		if err = errors.Join(a.openMetrics(), a.openControl()); err != nil {
			a.closeListeners()
			a.closeAdmin()
		}
	}
	if err != nil {
		a.cleanUp()
	}
	return err
}

func (a *app) openMetrics() error {
	for _, addr := range a.config.Metrics {
		ln, err := admin.ListenMetrics(addr)
		if err != nil {
			return err
		}
		a.metrics = append(a.metrics, ln)
		a.log.Info("metrics", "addr", ln.Addr().String())
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

func (a *app) closeListeners() {
	for _, ln := range a.listeners {
		ln.Close()
	}
}

// openControl opens the control socket. One that nobody asked for is worth no
// more than a line in the log.
func (a *app) openControl() (err error) {
	path := a.config.Control
	if path == "off" {
		return nil
	}
	if path == "auto" {
		path = ""
	}
	a.control, err = admin.Listen(path, a.listeners[0].Addr(), a.log.Logger)
	if err != nil && path == "" {
		a.log.Warn("stickyd status and the like will not find this process", "err", err)
		return nil
	}
	return err
}

// unpacked returns what gives workers the preload, nil for nothing.
func (a *app) unpacked(wanted bool) func() (path string, err error) {
	if !wanted {
		return nil
	}
	return func() (string, error) { return a.preload.Preload() }
}

// cleanUp removes what start left in the file system.
func (a *app) cleanUp() {
	if a.preload != nil {
		a.preload.Remove()
	}
}

// listen opens all listeners, or none.
func (a *app) listen() error {
	supervisor.CloseOnExec()
	for _, addr := range a.config.Listen {
		ln, err := front.Listen(addr, a.loop)
		if err != nil {
			a.closeListeners()
			return err
		}
		a.setListeners(append(a.listeners, ln))
		a.log.Info("listening", "addr", ln.Addr().String())
	}
	return nil
}

// run works until it is told to stop.
func (a *app) run() error {
	// A log reader that went away must not end us: writes fail instead. (Ignore
	// would be inherited by the workers.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	defer a.startLoop()()
	defer a.cleanUp()
	var g run.Group
	// Interrupts come in this order: the door closes before the workers go.
	hurry, hurryNow := context.WithCancel(context.Background())
	defer hurryNow()
	g.Add(a.awaitSignal(hurryNow))
	g.Add(a.accept(hurry))
	g.Add(a.sweeper())
	g.Add(a.inform())
	g.Add(a.supervise(hurryNow))
	finish := a.answer()
	err := g.Run()
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
	return err
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

// awaitSignal ends with the first signal to stop; a second one ends everything
// at once.
func (a *app) awaitSignal(hurry func()) (execute func() error, interrupt func(error)) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1)
		signal.Notify(signals, syscall.SIGHUP)
	}
	ended := make(chan struct{})
	// atOnce lives as long as the process: nothing waits for one more signal.
	atOnce := func(first time.Time) {
		s := next(signals, first)
		a.log.Warn("stopping at once", "signal", s.String())
		hurry()
		a.supervisor.Kill()
	}
	return func() error {
			select {
			case s := <-signals:
				a.log.Info("stopping: open requests may finish, a second signal stops at once",
					"signal", s.String(), "drain_timeout", a.config.DrainTimeout)
				go atOnce(time.Now())
				return signalError{s}
			case <-a.asked:
				a.log.Info("stopping, as asked on the control socket: open requests may finish, a signal stops at once",
					"drain_timeout", a.config.DrainTimeout)
				go atOnce(time.Time{})
				return signalError{syscall.SIGTERM}
			case <-ended:
				go atOnce(time.Time{}) // something failed; who does not want to wait may say so
				return nil
			}
		}, func(error) {
			a.stopping.Store(true)
			a.manager.Stopping(a.config.DrainTimeout + a.config.StopTimeout + lastWords)
			close(ended)
		}
}

// lastWords is how long the end may take when the workers are gone.
const lastWords = 10 * time.Second

// next returns the next signal that is not an echo of the one that came first:
// who sends one to a whole process group, or to a process and its group, sends
// it twice.
func next(signals <-chan os.Signal, first time.Time) os.Signal {
	const echo = 100 * time.Millisecond
	for {
		if s := <-signals; time.Since(first) > echo {
			return s
		}
	}
}

// accept runs the listeners. Its interrupt closes them and returns when no
// client waits at the door any more.
func (a *app) accept(hurry context.Context) (execute func() error, interrupt func(error)) {
	var serving sync.WaitGroup
	failed, ended, done := make(chan error), make(chan struct{}), make(chan struct{})
	serve := func(ln *front.Listener) {
		serving.Go(func() {
			if err := a.front.Serve(ln); err != nil {
				select {
				case failed <- err:
				case <-ended:
				}
			}
		})
	}
	return func() error {
			defer close(done) // from here on the listeners are the interrupt's
			for _, ln := range a.listeners {
				serve(ln)
			}
			for {
				select {
				case err := <-failed:
					return err
				case addr := <-a.wanted:
					if ln := a.follow(addr); ln != nil {
						serve(ln)
					}
				case <-ended:
					return nil
				}
			}
		}, func(error) {
			close(ended)
			<-done
			ctx, cancel := context.WithTimeout(hurry, min(a.config.QueueTimeout, a.config.DrainTimeout))
			defer cancel()
			a.front.Stop(ctx, a.listeners)
			serving.Wait()
		}
}

// want notes that workers would listen on addr, were there no stickyd.
func (a *app) want(addr string) {
	select {
	case a.wanted <- addr:
	default: // it hears of it from every worker
	}
}

// setListeners is called by whoever owns them: start, and then accept.
func (a *app) setListeners(lns []*front.Listener) {
	a.listeners = lns
	a.open.Store(&lns)
}

// owns reports whether stickyd listens at addr, on whatever host.
func (a *app) owns(addr string) bool {
	return slices.ContainsFunc(*a.open.Load(), func(ln *front.Listener) bool { return ln.IsAt(addr) })
}

// follow listens where the first worker wants to, if the user has not said
// where, in place of the default. It returns the new listener, nil for none.
func (a *app) follow(addr string) *front.Listener {
	if a.followed {
		return nil
	}
	a.followed = true
	if !a.config.ListenByDefault || strings.HasSuffix(addr, ":0") {
		a.log.Info("workers get their connections from stickyd; the address that they listen on is ignored",
			"addr", addr, "listen", strings.Join(a.config.Listen, " "))
		return nil
	}
	if slices.Contains(a.config.Listen, addr) {
		return nil
	}
	ln, err := front.Listen(addr, a.loop)
	if err != nil {
		a.log.Error("cannot listen where the workers want to", "addr", addr, "err", err, "listen", strings.Join(a.config.Listen, " "))
		return nil
	}
	a.closeListeners()
	a.setListeners([]*front.Listener{ln})
	if a.control != nil {
		if err := a.control.Follow(ln.Addr()); err != nil {
			a.log.Warn("the control socket keeps its name", "path", a.control.Path(), "err", err)
		}
	}
	a.log.Info("listening, instead, where the workers want to", "addr", ln.Addr().String())
	return ln
}

// supervise runs the workers. Stop only asks; Run returns once the last one is
// gone, the drain and stop timeouts later at worst.
func (a *app) supervise(hurry func()) (execute func() error, interrupt func(error)) {
	return func() error {
			defer hurry() // there is nobody left to wait for
			return a.supervisor.Run()
		}, func(error) {
			a.supervisor.Stop()
		}
}

// sweeper frees the space of dead workers' sessions.
func (a *app) sweeper() (execute func() error, interrupt func(error)) {
	ended := make(chan struct{})
	return func() error {
			for {
				select {
				case <-a.sweep:
					a.log.Debug("swept the session table", "entries", a.table.Sweep(time.Now()))
				case <-ended:
					return nil
				}
			}
		}, func(error) {
			close(ended)
		}
}

// answer runs the control socket and the metrics, until finish is called: who
// looks at how workers drain must not be shut out. That they fail is worth a
// line in the log.
func (a *app) answer() (finish func(error)) {
	var serving sync.WaitGroup
	serve := func(what string, f func() error) {
		serving.Go(func() {
			if err := f(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
				a.log.Error("nobody is answered any more", "on", what, "err", err)
			}
		})
	}
	metrics := admin.NewMetrics(a, a.log.Logger)
	for _, ln := range a.metrics {
		serve("metrics", func() error { return metrics.Serve(ln) })
	}
	if a.control != nil {
		serve("control socket", func() error { return a.admin.Serve(a.control) })
	}
	return func(err error) {
		a.admin.Finish(err)
		a.closeAdmin()
		serving.Wait()
	}
}

// Stop is called by the control socket.
func (a *app) Stop() {
	select {
	case a.asked <- struct{}{}:
	default: // it was asked already
	}
}

// Status is called by the control socket.
func (a *app) Status() admin.Status {
	s := admin.Status{
		Version: version(), PID: os.Getpid(), Started: a.started, Stopping: a.stopping.Load(),
		Sessions: a.table.Len(), Counters: a.counters(),
	}
	for _, ln := range *a.open.Load() {
		s.Listen = append(s.Listen, ln.Addr().String())
	}
	members := make(map[uint32]routing.MemberStatus)
	for _, m := range a.router.Members() {
		members[uint32(m.Incarnation)] = m
	}
	for _, sl := range a.supervisor.Status() {
		s.Workers = append(s.Workers, workerStatus(sl, members[sl.Incarnation]))
	}
	return s
}

func workerStatus(sl supervisor.SlotStatus, m routing.MemberStatus) admin.Worker {
	resident, cpu, _ := supervisor.ProcessUsage(sl.PID)
	return admin.Worker{
		Slot: sl.Slot, State: sl.State, Since: sl.Since, PID: sl.PID, Started: sl.Started,
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
	return fmt.Sprintf("%d of %d workers ready", ready, len(all))
}

// A target makes a worker a routing target: what the router decides goes to
// the worker's link, and what the worker says goes to the router.
type target struct {
	app    *app
	worker *supervisor.Worker
	member *routing.Member
}

func (a *app) join(w *supervisor.Worker) *target {
	t := &target{app: a, worker: w}
	t.member = a.router.Join(routing.Seat{Slot: w.Slot, Window: a.config.Window}, t)
	return t
}

// Hand is called by the front.
func (t *target) Hand(c front.Conn, session bool) error {
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
