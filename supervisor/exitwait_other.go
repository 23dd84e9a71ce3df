//go:build unix && !linux

package supervisor

import "os"

// An exitWait reaps the child: these systems have no portable wait that leaves
// the zombie. It can't be broken off.
type exitWait struct {
	p     *os.Process
	state *os.ProcessState
}

func newExitWait(p *os.Process) *exitWait { return &exitWait{p: p} }

func (w *exitWait) await() (exited bool) {
	w.state, _ = w.p.Wait()
	return true
}

func (w *exitWait) reap() *os.ProcessState { return w.state }

func (*exitWait) interrupt() {}
func (*exitWait) close()     {}
