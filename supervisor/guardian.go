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
// pipe ends, because we stopped or were killed, it leaves the groups that are
// left some time to see the end of their control sockets and to finish what is
// open, and then ends them.
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
	groups := readGroups(r)
	for _, step := range []struct {
		sig   syscall.Signal
		after time.Duration
	}{{0, guardianGrace}, {syscall.SIGTERM, guardianTerm}, {syscall.SIGKILL, 0}} {
		signalGroups(groups, step.sig)
		for end := time.Now().Add(step.after); len(groups) > 0 && time.Now().Before(end); {
			time.Sleep(guardianPoll)
			signalGroups(groups, 0)
		}
	}
}

// signalGroups sends sig, 0 for none, and forgets the groups that are gone.
func signalGroups(groups map[int]bool, sig syscall.Signal) {
	for pgid := range groups {
		if syscall.Kill(-pgid, sig) == syscall.ESRCH {
			delete(groups, pgid)
		}
	}
}

// readGroups follows lines of "+PGID" and "-PGID" to the end of r and returns
// what is left.
func readGroups(r io.Reader) map[int]bool {
	groups := make(map[int]bool)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		op, number, _ := strings.Cut(lines.Text(), " ")
		pgid, err := strconv.Atoi(number)
		if err != nil || pgid <= 1 {
			continue
		}
		if op == "+" {
			groups[pgid] = true
		} else {
			delete(groups, pgid)
		}
	}
	return groups
}

// guardian is our side of it.
type guardian struct {
	argv []string
	log  *slog.Logger

	mu     sync.Mutex
	groups map[int]bool
	pipe   *os.File
	closed bool
	stop   chan struct{} // closed with it
	watch  sync.WaitGroup
}

func startGuardian(argv []string, log *slog.Logger) (*guardian, error) {
	g := &guardian{argv: argv, log: log, groups: make(map[int]bool), stop: make(chan struct{})}
	cmd, err := g.start()
	if err != nil {
		return nil, fmt.Errorf("cannot start the guardian process: %w", err)
	}
	g.watch.Go(func() { g.keep(cmd) })
	return g, nil
}

// start starts a process and tells it the groups that there are.
func (g *guardian) start() (*exec.Cmd, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := &exec.Cmd{Path: g.argv[0], Args: append([]string{"sticky-guardian"}, g.argv[1:]...)}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		w.Close()
		return cmd, nil
	}
	g.pipe = w
	for pgid := range g.groups {
		g.say("+", pgid)
	}
	return cmd, nil
}

// keep replaces a guardian that died before us, and returns when it ended
// after close.
func (g *guardian) keep(cmd *exec.Cmd) {
	for cmd != nil {
		err := cmd.Wait()
		if g.dropPipe() {
			return
		}
		g.log.Warn("guardian process died, starting another", "err", err)
		cmd = g.restart()
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
func (g *guardian) restart() *exec.Cmd {
	for {
		cmd, err := g.start()
		if err == nil {
			return cmd
		}
		g.log.Error("cannot start the guardian process, trying again", "err", err, "in", guardianRetry)
		select {
		case <-g.stop:
			return nil
		case <-time.After(guardianRetry):
		}
	}
}

// say tells the guardian about a group. g.mu is held. If the guardian is dead,
// its successor is told.
func (g *guardian) say(op string, pgid int) { fmt.Fprintf(g.pipe, "%s %d\n", op, pgid) }

func (g *guardian) add(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[pgid] = true
	g.say("+", pgid)
}

func (g *guardian) remove(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, pgid)
	g.say("-", pgid)
}

// close lets the guardian go. There are no workers left.
func (g *guardian) close() {
	g.mu.Lock()
	g.closed = true
	close(g.stop)
	g.pipe.Close()
	g.mu.Unlock()
	g.watch.Wait()
}
