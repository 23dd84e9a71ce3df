package supervisor

import (
	"os"
	"sync"
	"syscall"
)

// A process is a child of ours that leads a process group. One goroutine waits
// for it: await, then, if it has exited, reap. Where somebody is to look at what it
// leaves behind before that, hold comes between.
type process struct {
	pid   int
	os    *os.Process
	wait  *exitWait
	state *os.ProcessState // after reap

	letGo     func() // ends hold
	interrupt func() // ends await and hold; after that the process can be adopted anew
	released  chan struct{}
	broken    chan struct{}

	mu     sync.Mutex
	reaped bool // pid may be another's
}

// adopt makes a process of a child that was started before this program took
// over from another in the same process. One that has exited meanwhile can be
// adopted as well, as long as nobody has reaped it.
func adopt(pid int) *process {
	p, _ := os.FindProcess(pid) // always succeeds on Unix
	offspring.add(pid)
	return newProcess(p)
}

func newProcess(p *os.Process) *process {
	released, broken := make(chan struct{}), make(chan struct{})
	wait := newExitWait(p)
	return &process{
		pid: p.Pid, os: p, wait: wait, released: released, broken: broken,
		letGo: sync.OnceFunc(func() { close(released) }),
		interrupt: sync.OnceFunc(func() {
			wait.interrupt()
			close(broken)
		}),
	}
}

// await waits until the process has exited, and leaves it a zombie where the
// system allows, so that its number, which is its group's as well, stays its
// own. It returns false if interrupt was called before.
func (p *process) await() (exited bool) { return p.wait.await() }

// hold returns true when letGo is called, false if interrupt was before.
func (p *process) hold() bool {
	select {
	case <-p.released:
		return true
	case <-p.broken:
		return false
	}
}

// reap ends what is left of the group and takes the exit status.
func (p *process) reap() {
	p.signal(syscall.SIGKILL)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = p.wait.reap()
	p.reaped = true
	offspring.forget(p.pid)
}

// drop gives up a process that await or hold was interrupted for.
func (p *process) drop() {
	p.wait.close()
	p.os.Release()
}

func (p *process) isReaped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reaped
}

// signal sends a signal to the process group, while its number is its own.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.pid, sig)
	}
}
