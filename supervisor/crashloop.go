package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A crashLoop is what is known of a command that has never become ready. A typo
// must not be tried for ever.
type crashLoop struct {
	started time.Time
	ready   bool            // some worker has been ready
	failed  map[int]failure // by slot
	opened  map[int]*opened // of slots whose workers serve past us
	warned  bool            // that some do
	hint    string          // for the worker that was seen last, which may have died
	fatal   error
}

// A failure is what is known of a slot whose workers die.
type failure struct {
	count int
	cause string
	lines []string
	hint  string
}

// portInUse reports whether the worker has said that it could not have its port.
func (f failure) portInUse() bool { return slices.ContainsFunc(f.lines, inUse.MatchString) }

const (
	// crashLoopPatience and crashLoopFailures say when to give up on a command
	// that has never become ready: not before so long, and not before each
	// slot has failed so often.
	crashLoopPatience = 10 * time.Second
	crashLoopFailures = 3
)

// readySoon is when somebody who waits would like to hear why.
const readySoon = 5 * time.Second

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
	if !s.loop.ready && !s.loop.warned && s.loop.fatal == nil {
		log := s.log
		if s.loop.hint != "" {
			log = log.With("hint", s.loop.hint)
		}
		log.Warn("no worker has said yet that it is ready", "command", s.current.Argv, "start_timeout", s.limits.Load().StartTimeout)
	}
}

// noteReady says that the command works.
func (s *Supervisor) noteReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loop.ready = true
}

// noteFailure says that a worker of slot n died.
func (s *Supervisor) noteFailure(n int, f failure) {
	s.mu.Lock()
	f.count = s.loop.failed[n].count + 1
	s.loop.failed[n] = f
	s.loop.hint = f.hint
	delete(s.loop.opened, n)
	s.mu.Unlock()
	s.judge()
}

// noteHint says what may be wrong with a worker that is not ready.
func (s *Supervisor) noteHint(hint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loop.hint = hint
}

// noteOpened says that slot n's worker, which is not ready, serves past us.
func (s *Supervisor) noteOpened(n int, o *opened) {
	s.mu.Lock()
	s.loop.opened[n] = o
	s.mu.Unlock()
	s.judge()
}

// warnOnce reports whether nobody was told yet that workers serve past us.
func (s *Supervisor) warnOnce() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.loop.warned
	s.loop.warned = true
	return !again
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

// judge ends everything if no worker has ever become ready and none can: if one has
// the port that another wanted, or after a while, if each slot has failed several
// times, or serves past us; but not what is being frozen: who goes on judges anew.
func (s *Supervisor) judge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.loop
	if s.over || l.ready || l.fatal != nil || s.limits.Load().KeepTrying {
		return
	}
	if !l.contested() && (time.Since(l.started) < crashLoopPatience || !l.hopeless(s.slots)) {
		return
	}
	l.fatal = l.verdict()
	s.stop()
}

// contested reports whether one slot's worker has opened a port, and another's has
// failed since its port was in use.
func (l *crashLoop) contested() bool {
	for n := range l.opened {
		for other, f := range l.failed {
			if other != n && f.portInUse() {
				return true
			}
		}
	}
	return false
}

// hopeless reports whether no slot is likely to have a ready worker soon.
func (l *crashLoop) hopeless(slots []*slot) bool {
	for _, sl := range slots {
		if l.opened[sl.n] == nil && l.failed[sl.n].count < crashLoopFailures {
			return false
		}
	}
	return true
}

// verdict says why no worker has become ready, and what to do about it.
func (l *crashLoop) verdict() error {
	if len(l.opened) > 0 {
		o := l.opened[slices.Sorted(maps.Keys(l.opened))[0]]
		return fmt.Errorf("no worker can become ready: %v\n%s", o, o.hint())
	}
	first := l.failed[1]
	text := fmt.Sprintf("no worker has become ready: worker 1 failed %d times, at last with %s",
		first.count, withLines(first.cause, first.lines))
	if first.hint != "" {
		text += "\n" + first.hint
	}
	return errors.New(text)
}

// withLines adds to a cause of death what the worker printed last.
func withLines(cause string, lines []string) string {
	if len(lines) == 0 {
		return cause + "; it printed nothing"
	}
	return cause + "; its last lines:\n    " + strings.Join(lines, "\n    ")
}
