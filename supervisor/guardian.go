package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The guardian is a process that outlives us for a moment and sees to it that
// no worker does. We tell it each worker's process group over a pipe. When the
// pipe ends, because we were killed, it leaves the groups that are left some
// time to see the end of their control sockets and to finish what is open, and
// then ends them. Whoever we had started and not yet told of it finds by a mark
// in the environment.
//
// A parent-death signal (prctl(2), PR_SET_PDEATHSIG) would not do: it reaches
// only the worker and not what the worker has started, it comes at once and so
// cuts off open requests, and it is tied to the thread that forked, which the
// Go runtime may end, and which an exec of a new binary in place ends unless
// it is the one that calls it.

const (
	guardianGrace = 4 * time.Second // from our end to SIGTERM
	guardianTerm  = time.Second     // from there to SIGKILL
	guardianPoll  = 50 * time.Millisecond
	guardianRetry = time.Second
)

// RunGuardian is the guardian's main. It returns when r has ended and each group
// is gone or was sent SIGKILL.
func RunGuardian(r io.Reader) {
	setName("sticky-guardian")
	// What ends us must not end it first: it leaves when r ends.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	w := follow(r)
	if w.released {
		return
	}
	for _, step := range []struct {
		sig   syscall.Signal
		after time.Duration
	}{{0, guardianGrace}, {syscall.SIGTERM, guardianTerm}, {syscall.SIGKILL, 0}} {
		w.findStrays()
		w.signal(step.sig)
		for end := time.Now().Add(step.after); len(w.groups) > 0 && time.Now().Before(end); {
			time.Sleep(guardianPoll)
			w.signal(0)
		}
		// One that was being executed as we died becomes a stray about now.
		time.Sleep(guardianPoll)
	}
}

// A ward is what the guardian knows of us.
type ward struct {
	groups   map[int]bool // process groups that we said there are
	mark     string       // what stands in our workers' environment; "" if unknown
	released bool         // we need no guardian any more
}

// follow reads lines of "+ PGID", "- PGID", "= MARK" and "." to the end of r.
func follow(r io.Reader) *ward {
	w := &ward{groups: make(map[int]bool)}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		op, rest, _ := strings.Cut(lines.Text(), " ")
		pgid, err := strconv.Atoi(rest)
		switch {
		case op == ".":
			w.released = true
		case op == "=":
			w.mark = rest
		case err != nil || pgid <= 1:
		case op == "+":
			w.groups[pgid] = true
		case op == "-":
			delete(w.groups, pgid)
		}
	}
	return w
}

// signal sends sig, 0 for none, and forgets the groups that are gone.
func (w *ward) signal(sig syscall.Signal) {
	for pgid := range w.groups {
		if syscall.Kill(-pgid, sig) == syscall.ESRCH {
			delete(w.groups, pgid)
		}
	}
}

// findStrays adds the groups of workers that we started and did not live to
// tell of.
func (w *ward) findStrays() {
	if w.mark == "" {
		return
	}
	for _, pgid := range groupsMarked(w.mark) {
		w.groups[pgid] = true
	}
}

// guardian is our side of it.
type guardian struct {
	argv []string
	mark string // see ward
	log  *slog.Logger

	mu      sync.Mutex
	groups  map[int]bool
	pipe    *os.File
	process *process // the one that it leads to
	closed  bool
	stop    chan struct{} // closed with it
	watch   sync.WaitGroup
}

func startGuardian(argv []string, mark string, log *slog.Logger) (*guardian, error) {
	g := &guardian{argv: argv, mark: mark, log: log, groups: make(map[int]bool), stop: make(chan struct{})}
	p, err := g.start()
	if err != nil {
		return nil, fmt.Errorf("cannot start the guardian process: %w", err)
	}
	g.watch.Go(func() { g.keep(p) })
	return g, nil
}

// start starts a process and tells it the groups that there are.
func (g *guardian) start() (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := &exec.Cmd{Path: g.argv[0], Args: append([]string{"sticky-guardian"}, g.argv[1:]...)}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := StartChild(cmd); err != nil {
		w.Close()
		return nil, err
	}
	p := newProcess(cmd.Process)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		w.Close()
		return p, nil
	}
	g.pipe, g.process = w, p
	g.say("= %s", g.mark)
	for pgid := range g.groups {
		g.say("+ %d", pgid)
	}
	return p, nil
}

// keep replaces a guardian that died before us, and returns when it ended
// after close, or freeze was called.
func (g *guardian) keep(p *process) {
	for p != nil {
		began := time.Now()
		if !p.await() {
			return // frozen
		}
		p.reap()
		if g.dropPipe() {
			return
		}
		g.log.Warn("guardian process died, starting another", "exit", p.state.String())
		if time.Since(began) < guardianRetry && !g.pause() {
			return
		}
		p = g.restart()
	}
}

// dropPipe closes what led to a guardian that is dead, and reports whether
// that is how it should be.
func (g *guardian) dropPipe() (closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pipe.Close()
	return g.closed
}

// restart tries until it has a new guardian; nil if none is wanted any more.
func (g *guardian) restart() *process {
	for {
		p, err := g.start()
		if err == nil {
			return p
		}
		g.log.Error("cannot start the guardian process, trying again", "err", err, "in", guardianRetry)
		if !g.pause() {
			return nil
		}
	}
}

// pause returns false if close was called meanwhile.
func (g *guardian) pause() bool {
	select {
	case <-g.stop:
		return false
	case <-time.After(guardianRetry):
		return true
	}
}

// say writes a line to the guardian. g.mu is held. If the guardian is dead, its
// successor is told.
func (g *guardian) say(format string, args ...any) { fmt.Fprintf(g.pipe, format+"\n", args...) }

func (g *guardian) add(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[pgid] = true
	g.say("+ %d", pgid)
}

func (g *guardian) remove(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, pgid)
	g.say("- %d", pgid)
}

// close lets the guardian go. There are no workers left.
func (g *guardian) close() {
	g.mu.Lock()
	if g.closed { // frozen
		g.mu.Unlock()
		return
	}
	g.closed = true
	close(g.stop)
	g.say(".")
	g.pipe.Close()
	g.mu.Unlock()
	g.watch.Wait()
}

// freeze gives the guardian away, which goes on. After it close does nothing.
func (g *guardian) freeze() GuardianState {
	g.mu.Lock()
	g.closed = true
	close(g.stop)
	p := g.process
	g.mu.Unlock()
	p.interrupt()
	g.watch.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.isReaped() { // it died meanwhile
		return GuardianState{FD: -1}
	}
	p.drop() // first: it may be what lets the pipe have another descriptor
	fd, err := duplicate(g.pipe)
	if err != nil {
		// It would take an exec for our death. Without one for a moment is better.
		g.log.Error("the guardian process can't be taken along, another will be started", "err", err)
		g.say(".")
		fd = -1
	}
	g.pipe.Close()
	return GuardianState{PID: p.pid, FD: fd}
}

// relieve lets another guardian go, whose groups this one has been told.
func (g *guardian) relieve(other GuardianState) {
	if other.PID == 0 {
		return
	}
	if other.FD >= 0 {
		pipe := os.NewFile(uintptr(other.FD), "guardian")
		fmt.Fprintln(pipe, ".")
		pipe.Close()
	}
	p, err := adopt(other.PID)
	if err != nil {
		return // it is gone
	}
	g.watch.Go(func() {
		p.await()
		p.reap()
	})
}
