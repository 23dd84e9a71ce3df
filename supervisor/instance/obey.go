package instance

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/stickyd/stickyd/supervisor"
)

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
	switch s {
	case syscall.SIGHUP:
		if a.program.terminal && !hasTerminal() {
			return false // it was closed
		}
		a.reloadInTurn()
	case syscall.SIGTTIN:
		a.scaleInTurn(1)
	case syscall.SIGTTOU:
		a.scaleInTurn(-1)
	case syscall.SIGUSR2:
		a.upgradeInTurn()
	default:
		return false
	}
	return true
}

// logProgress is how an operation that a signal asked for says how it goes.
func (a *app) logProgress(line string) {
	a.log.Info("progress of a signal's request", "progress", line)
}

func (a *app) reloadInTurn() {
	a.inTurn(syscall.SIGHUP, "reload", &a.reloaded, 1, func(op *supervisor.Operation, _ int) (func() error, error) {
		return a.reloadIn(op, a.logProgress)
	})
}

func (a *app) scaleInTurn(n int) {
	s := syscall.SIGTTIN
	if n < 0 {
		s = syscall.SIGTTOU
	}
	a.inTurn(s, moreWorkers(n), &a.scaled, n, func(op *supervisor.Operation, n int) (func() error, error) {
		if n == 0 {
			a.log.Info("nothing to do: as many signals asked for a worker less as for one more")
			return nil, errLogged
		}
		return op.Resize(n, true, a.logProgress)
	})
}

func (a *app) upgradeInTurn() {
	a.inTurn(syscall.SIGUSR2, "upgrade", &a.upgraded, 1, func(op *supervisor.Operation, _ int) (func() error, error) {
		a.logUpgrade(a.upgradeIn(op, "", nil))
		return nil, errLogged
	})
}

// errLogged ends what has logged itself how it went.
var errLogged = errors.New("logged")

func moreWorkers(n int) string {
	switch n {
	case 1:
		return "one worker more"
	case -1:
		return "one worker less"
	}
	if n < 0 {
		return fmt.Sprintf("%d workers less", -n)
	}
	return fmt.Sprintf("%d workers more", n)
}

// inTurn does what a signal asks for when no operation is under way. What more of
// it comes until then is added up in t.
func (a *app) inTurn(s os.Signal, what string, t *supervisor.Tally, n int, do func(*supervisor.Operation, int) (func() error, error)) {
	a.log.Info("signal received", "signal", s.String(), "what", what)
	if now := a.supervisor.Operation(); now != "" {
		a.log.Info("request of a signal waits for the operation under way", "what", what, "operation", now)
	}
	if !t.Add(n) {
		return
	}
	a.tasks.Go(func() {
		err := a.supervisor.InTurn(t, func(op *supervisor.Operation, sum int) (func() error, error) {
			if sum != n {
				what = moreWorkers(sum)
			}
			return do(op, sum)
		})
		switch {
		case errors.Is(err, supervisor.ErrFrozen): // takeWaiting takes it along
		case err == errLogged:
		case err != nil:
			a.log.Error("request of a signal failed", "what", what, "err", err)
		default:
			a.log.Info("done", "what", what)
		}
	})
}

// takeWaiting takes along what signals have asked for whose turn has not come. It
// is called in an operation. (An exec carries over each signal once.)
func (a *app) takeWaiting(m *meta) {
	m.Reload, m.Scale, m.Upgrade = a.reloaded.Take() > 0, a.scaled.Take(), a.upgraded.Take() > 0
}

// resumeWaiting does that in its turn.
func (a *app) resumeWaiting(m *meta) {
	if m.Reload {
		a.reloadInTurn()
	}
	if m.Scale != 0 {
		a.scaleInTurn(m.Scale)
	}
	if m.Upgrade {
		a.upgradeInTurn()
	}
}

// keepWaiting keeps for who goes on the signals that were too late for takeWaiting.
func (a *app) keepWaiting() {
	if a.reloaded.Take() > 0 {
		a.program.keep(syscall.SIGHUP)
	}
	if a.upgraded.Take() > 0 {
		a.program.keep(syscall.SIGUSR2)
	}
	n, s := a.scaled.Take(), syscall.SIGTTIN
	if n < 0 {
		n, s = -n, syscall.SIGTTOU
	}
	for range n {
		a.program.keep(s)
	}
}
