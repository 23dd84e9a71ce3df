package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// The guardian is a process that outlives us for a moment and sees to it that
// nothing of our workers does. We tell it each worker's process group over a pipe.
// When the pipe ends, because we were killed, it leaves the groups that are left
// some time to see the end of their control sockets and to finish what is open, and
// then ends them, and the strays: what has left its group, and those that we started
// and did not live to tell of. It finds strays by their mark and by their ancestors.
//
// A parent-death signal (prctl(2), PR_SET_PDEATHSIG) would not do: it reaches
// only the worker and not what the worker has started, it comes at once and so
// cuts off open requests, and it is tied to the thread that forked, which the
// Go runtime may end, and which an exec of a new binary in place ends unless
// it is the one that calls it. Nor do orphans come to the guardian: the kernel gives
// them to an ancestor (PR_SET_CHILD_SUBREAPER), which it is not.

const (
	guardianGrace  = 4 * time.Second // from our end to SIGTERM
	guardianTerm   = time.Second     // from there to SIGKILL
	guardianPoll   = 50 * time.Millisecond
	guardianKills  = 20          // how often SIGKILL is sent at most: one that forks may escape it
	guardianRetry  = time.Second // between tries to start one, the first of them
	guardianSeldom = time.Minute // and the last
	guardianLeaves = time.Second // from when it is let go to SIGKILL: somebody may have stopped it
)

// RunGuardian is the guardian's main. It returns when r has ended and everything
// is gone or was sent SIGKILL.
func RunGuardian(r io.Reader) {
	setName("sticky-guardian")
	// What ends us must not end it first: it leaves when r ends.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	w := follow(r)
	if w.released {
		return
	}
	// Without a signal strays have no reason to end.
	w.await(guardianGrace, func() bool { return !w.signal(0) })
	w.signalAll(syscall.SIGTERM)
	w.await(guardianTerm, func() bool { return !w.signalAll(0) })
	for range guardianKills {
		time.Sleep(guardianPoll) // what was forked behind our back can be seen then
		if !w.signalAll(syscall.SIGKILL) {
			return
		}
	}
}

// A ward is what the guardian knows of us.
type ward struct {
	groups   map[int]bool // process groups that we said there are
	instance uint32       // in our workers' marks; 0 if unknown
	released bool         // we need no guardian any more
}

// follow reads lines of "+ PGID", "- PGID", "= INSTANCE" and "." to the end of r.
func follow(r io.Reader) *ward {
	w := &ward{groups: make(map[int]bool)}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		op, rest, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.Atoi(rest)
		switch {
		case op == ".":
			w.released = true
		case err != nil || n <= 1:
		case op == "=":
			w.instance = uint32(n)
		case op == "+":
			w.groups[n] = true
		case op == "-":
			delete(w.groups, n)
		}
	}
	return w
}

// await returns when done says so, after limit at the latest.
func (w *ward) await(limit time.Duration, done func() bool) {
	for end := time.Now().Add(limit); !done() && time.Now().Before(end); {
		time.Sleep(guardianPoll)
	}
}

// signal sends the groups sig, 0 for none, forgets those that are gone, and
// reports whether there are others.
func (w *ward) signal(sig syscall.Signal) (left bool) {
	for pgid := range w.groups {
		if syscall.Kill(-pgid, sig) == syscall.ESRCH {
			delete(w.groups, pgid)
		}
	}
	return len(w.groups) > 0
}

// signalAll is signal for the groups and the strays.
func (w *ward) signalAll(sig syscall.Signal) (left bool) {
	strays := w.strays() // first: they may be children of who ends now
	for _, p := range strays {
		p.signal(sig)
	}
	return w.signal(sig) || len(strays) > 0
}

// guardian is our side of it. One process is in charge at a time, or none where
// none can be started.
type guardian struct {
	argv     []string
	instance uint32 // see ward
	log      *slog.Logger
	after    func(time.Duration) <-chan time.Time // time.After

	mu      sync.Mutex
	groups  map[int]bool
	charged *sentry // nil: none is in charge
	seeking bool    // for another
	closed  bool
	stop    chan struct{}  // closed with it
	watch   sync.WaitGroup // for each process that there is, and for who seeks another
}

// A sentry is a guardian process, and what it hears us by.
type sentry struct {
	process *process
	pipe    *os.File // nil: none leads to it
	began   time.Time
	old     bool // it was another program's, and is to be relieved
}

func newGuardian(argv []string, instance uint32, log *slog.Logger) *guardian {
	return &guardian{argv: argv, instance: instance, log: log, after: time.After, groups: make(map[int]bool), stop: make(chan struct{})}
}

// start puts the first process in charge.
func (g *guardian) start() error {
	if err := g.relieve(); err != nil {
		return fmt.Errorf("cannot start the guardian process: %w", err)
	}
	return nil
}

// resume puts the process in charge that another guardian was frozen with, and
// has one of this program relieve it. Where none can be started it stays in
// charge until one can.
func (g *guardian) resume(from GuardianState) {
	if from.PID > 1 {
		g.adopt(from)
	}
	if err := g.relieve(); err != nil {
		if from.FD >= 0 {
			g.log.Error("cannot start a guardian process, the one of the program before stays in charge",
				"err", err, "pid", from.PID, "next_try", guardianRetry)
		} else {
			g.log.Error("cannot start a guardian process, there is none", "err", err, "next_try", guardianRetry)
		}
		g.mu.Lock()
		alone := g.seekLocked()
		g.mu.Unlock()
		if alone {
			g.watch.Go(func() { g.seek(guardianRetry) })
		}
	}
}

// adopt puts a process in charge that hears us already, or that was let go
// since nothing leads to it.
func (g *guardian) adopt(from GuardianState) {
	s := &sentry{process: adopt(from.PID), began: time.Now(), old: true}
	if from.FD >= 0 {
		s.pipe = os.NewFile(uintptr(from.FD), "guardian")
		g.charged = s
	} else {
		s.leaves()
	}
	g.watch.Go(func() { g.keep(s) })
}

// relieve starts a process, tells it the groups that there are, and lets the one
// go that was in charge.
func (g *guardian) relieve() error {
	s, err := g.spawn()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watch.Go(func() { g.keep(s) })
	if g.closed {
		s.dismiss()
		return nil
	}
	s.say("= %d", g.instance)
	for pgid := range g.groups {
		s.say("+ %d", pgid)
	}
	if g.charged != nil {
		g.charged.dismiss()
	}
	g.charged = s
	return nil
}

func (g *guardian) spawn() (*sentry, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := &exec.Cmd{Path: g.argv[0], Args: append([]string{"sticky-guardian"}, g.argv[1:]...)}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// We may be a worker of another stickyd, which ends what we have started if we
	// die; but this one is to end what our workers have.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, workerproto.EnvInstance+"=") })
	if err := offspring.startMarked(cmd, mark{}); err != nil {
		w.Close()
		return nil, err
	}
	return &sentry{process: newProcess(cmd.Process), pipe: w, began: time.Now()}, nil
}

// keep waits for a process, and replaces it if it dies before it was let go. It
// returns as well when freeze was called.
func (g *guardian) keep(s *sentry) {
	if !s.process.await() {
		return // frozen
	}
	s.process.reap()
	if !g.lose(s) {
		return
	}
	wait := time.Duration(0)
	if time.Since(s.began) < guardianRetry {
		wait = guardianRetry
	}
	g.seek(wait)
}

// lose puts a process that is dead out of charge, and reports whether the
// caller is to seek another.
func (g *guardian) lose(s *sentry) (seek bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.charged != s {
		return false
	}
	g.log.Warn("guardian process died, starting another", "exit", s.process.state.String())
	s.pipe.Close()
	g.charged = nil
	return g.seekLocked()
}

// seekLocked reports whether the caller is the one to call seek.
func (g *guardian) seekLocked() bool {
	already := g.seeking
	g.seeking = true
	return !already
}

// seek tries, after a while and then less and less often, until a process of
// this program is in charge or none is wanted any more.
func (g *guardian) seek(wait time.Duration) {
	for g.pause(wait) && !g.found() {
		wait = min(max(2*wait, guardianRetry), guardianSeldom)
		if err := g.relieve(); err != nil {
			g.log.Error("cannot start a guardian process, trying again", "err", err, "next_try", wait)
		} else if g.found() {
			return
		}
	}
}

// found ends seeking if there is nothing to seek.
func (g *guardian) found() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seeking = g.charged == nil || g.charged.old
	return !g.seeking
}

// pause returns false if close was called meanwhile.
func (g *guardian) pause(d time.Duration) bool {
	select {
	case <-g.stop:
		return false
	case <-g.after(d):
		return true
	}
}

// say writes a line. If the process is dead, its successor is told.
func (s *sentry) say(format string, args ...any) { fmt.Fprintf(s.pipe, format+"\n", args...) }

// dismiss lets the process go.
func (s *sentry) dismiss() {
	s.say(".")
	s.pipe.Close()
	s.leaves()
}

// leaves sees to it that a process ends that was let go, for which close and
// freeze wait.
func (s *sentry) leaves() {
	time.AfterFunc(guardianLeaves, func() { s.process.signal(syscall.SIGKILL) })
}

// say tells the process that is in charge. g.mu is held.
func (g *guardian) say(format string, args ...any) {
	if g.charged != nil {
		g.charged.say(format, args...)
	}
}

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

// shut ends seeking, and returns the process that is in charge, which goes on
// to be; nil if there is none, or this was called before.
func (g *guardian) shut() *sentry {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	close(g.stop)
	return g.charged
}

// close lets the guardian go. There are no workers left.
func (g *guardian) close() {
	if s := g.shut(); s != nil {
		s.dismiss()
	}
	g.watch.Wait()
}

// freeze gives the process away that is in charge, which goes on. After it close
// does nothing.
func (g *guardian) freeze() GuardianState {
	s := g.shut()
	if s != nil {
		s.process.interrupt()
	}
	g.watch.Wait()
	if s == nil {
		return GuardianState{FD: -1}
	}
	defer s.pipe.Close()
	if s.process.isReaped() { // it died meanwhile
		return GuardianState{FD: -1}
	}
	s.process.drop() // first: it may be what lets the pipe have another descriptor
	fd, err := poll.Duplicate(s.pipe)
	if err != nil {
		// It would take an exec for our death. Without one for a moment is better.
		g.log.Error("the guardian process can't be taken along, another will be started", "err", err)
		s.say(".")
		fd = -1
	}
	return GuardianState{PID: s.process.pid, FD: fd}
}
