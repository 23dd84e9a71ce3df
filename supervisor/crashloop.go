package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A crashLoop is what is known of a command that has never become ready. A typo
// must not be tried for ever.
type crashLoop struct {
	started time.Time
	ready   bool // some worker has been ready
	failed  map[int]failure
	fatal   error
}

// A failure is what is known of a slot whose workers die.
type failure struct {
	count int
	cause string
	lines []string
}

const (
	// crashLoopPatience and crashLoopFailures say when to give up on a command
	// that has never become ready: not before so long, and not before each
	// slot has failed so often.
	crashLoopPatience = 10 * time.Second
	crashLoopFailures = 3
)

// readySoon is when somebody who waits would like to hear why.
const readySoon = 5 * time.Second

// notAWorker is the likeliest reason why a command does not become ready.
const notAWorker = "is it a stickyd worker? One calls workerproto.Listen and Serve, " +
	"speaks workerproto/PROTOCOL.md, or is a Node program that calls setupWorker(io) or listens"

// watchStart looks at times whether any worker gets ready, until stop is called.
func (s *Supervisor) watchStart() (stop func()) {
	s.mu.Lock()
	s.loop.started = time.Now()
	s.mu.Unlock()
	patience := time.AfterFunc(crashLoopPatience, s.judge)
	wonder := time.AfterFunc(readySoon, s.wonder)
	return func() {
		patience.Stop()
		wonder.Stop()
	}
}

// wonder says so if no worker is ready after some time.
func (s *Supervisor) wonder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loop.ready && s.loop.fatal == nil {
		s.log.Warn("no worker has said yet that it is ready", "command", s.current.Argv,
			"start_timeout", s.limits.Load().StartTimeout, "hint", notAWorker)
	}
}

// noteReady says that the command works.
func (s *Supervisor) noteReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loop.ready = true
}

// noteFailure says that a worker of slot n died.
func (s *Supervisor) noteFailure(n int, cause string, lines []string) {
	s.mu.Lock()
	s.loop.failed[n] = failure{s.loop.failed[n].count + 1, cause, lines}
	s.mu.Unlock()
	s.judge()
}

// noteNotStarted says that no process came of a spawn. If it is the command that
// can't be executed, and never could, that is fatal; want of processes or
// descriptors passes.
func (s *Supervisor) noteNotStarted(err error) {
	var hopeless *commandError
	if !errors.As(err, &hopeless) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.loop.ready && s.loop.fatal == nil && !s.limits.Load().KeepTrying {
		s.loop.fatal = err
		s.stop()
	}
}

// judge ends everything if no worker has ever become ready and each slot has
// failed several times; but not what is being frozen: who goes on judges anew.
func (s *Supervisor) judge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.loop
	if s.over || l.ready || l.fatal != nil || s.limits.Load().KeepTrying || time.Since(l.started) < crashLoopPatience {
		return
	}
	for _, sl := range s.slots {
		if l.failed[sl.n].count < crashLoopFailures {
			return
		}
	}
	first := l.failed[1]
	l.fatal = fmt.Errorf("no worker has become ready: worker 1 failed %d times, at last with %s\n%s",
		first.count, withLines(first.cause, first.lines), notAWorker)
	s.stop()
}

// withLines adds to a cause of death what the worker printed last.
func withLines(cause string, lines []string) string {
	if len(lines) == 0 {
		return cause + "; it printed nothing"
	}
	return cause + "; its last lines:\n    " + strings.Join(lines, "\n    ")
}
