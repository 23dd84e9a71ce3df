package instance

import (
	"os"
	"syscall"
	"time"
)

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
