package instance

import (
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/upgrade"
)

// A Program is what outlives the rooms when they are frozen and wired anew. The
// fields are set before the first call, and not changed after it.
type Program struct {
	// Load reads the configuration again, as this program's arguments say.
	Load func() (*config.Config, error)

	// Version is this program's, and Revision the commit that it was built from, ""
	// if that is not known.
	Version, Revision string

	// Guardian and Launcher are the commands, with their first arguments, that
	// run this program as [supervisor.RunGuardian] and [supervisor.RunLauncher].
	Guardian, Launcher []string

	// Text puts the error that all ends with into lines, for stderr.
	Text func(error) string

	terminal bool           // it was started on one
	signals  chan os.Signal // kept while no app is there to act on them
}

func (p *Program) begin() {
	p.terminal = hasTerminal()
	p.signals = make(chan os.Signal, 8)
}

// Check returns an error if Run could not begin with that configuration, as far
// as that can be seen. Nothing is listened on, and no worker started.
func (p *Program) Check(c *config.Config) error {
	a, err := p.build(c, nil)
	if err != nil {
		return err
	}
	return a.preflight()
}

// Run works as c says until it is told to stop or can't go on, and logs the
// error that it returns. started is called when clients can connect at addr, which
// is nil where a worker may yet say what that is to be.
func (p *Program) Run(c *config.Config, started func(addr net.Addr)) error {
	p.begin()
	a, err := p.build(c, nil)
	if err == nil {
		a.supervisor = supervisor.New(a.spec, a, a.log.Logger)
		err = a.start()
	}
	if err == nil {
		started(a.firstAddr())
	}
	return p.run(a, err)
}

// run runs an app that was started, unless err says that it was not, and those
// that carry on for it, to the end of the last one.
func (p *Program) run(a *app, err error) error {
	if err == nil {
		p.listenToSignals()
	}
	for err == nil {
		var next *frozen
		if next, err = a.run(); next == nil {
			break
		}
		why := next.exec(p) // returns only if it failed
		if a, err = p.carryOn(&next.before, why); err != nil {
			break
		}
	}
	a.log.Last(p.Text(err)) // whoever reads stderr may hang
	return err
}

func (p *Program) listenToSignals() {
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
func (p *Program) keep(s os.Signal) {
	select {
	case p.signals <- s:
	default: // as many are there already
	}
}
