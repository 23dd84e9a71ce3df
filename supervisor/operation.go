package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// An operation changes which workers there are. One is under way at a time; but
// the workers that it has replaced may drain while the next one goes on.
type operation struct {
	mu    sync.Mutex
	name  string // "" if none is under way
	since time.Time
	says  string

	background bool          // nobody asked for it
	ended      chan struct{} // closed when it has
}

// setBackground says whether the operation that is under way is one that nobody
// asked for.
func (o *operation) setBackground(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.background = on
}

// ErrStopping is what ends an operation that stickyd's end came before.
var ErrStopping = errors.New("stickyd stops")

// errUpgraded is what who waits for draining workers is told.
var errUpgraded = errors.New("stickyd is upgraded meanwhile; the old workers go on draining, and stickyd status shows them")

// begin starts an operation of that name, once Run has started the slots (what is
// added before would be started twice), and when one is over that nobody asked
// for. end must follow.
func (s *Supervisor) begin(name string) (end func(), err error) {
	<-s.begun
	for {
		end, ended, err := s.tryBegin(name)
		if ended == nil {
			return end, err
		}
		select {
		case <-ended:
		case <-s.stopping.Done():
			return nil, ErrStopping
		}
	}
}

// tryBegin returns ended instead where it has to wait for that.
func (s *Supervisor) tryBegin(name string) (end func(), ended <-chan struct{}, err error) {
	s.operation.mu.Lock()
	defer s.operation.mu.Unlock()
	if now := &s.operation; now.name != "" && now.background {
		return nil, now.ended, nil
	} else if now.name != "" {
		return nil, nil, fmt.Errorf("another operation is under way: %s, for %v; try again when it has ended (stickyd status shows it)",
			now.name, time.Since(now.since).Round(time.Second))
	}
	done, err := s.hold()
	if err != nil {
		return nil, nil, err
	}
	s.operation.name, s.operation.since, s.operation.says = name, time.Now(), ""
	s.operation.ended = make(chan struct{})
	return func() {
		s.operation.mu.Lock()
		s.operation.name, s.operation.background = "", false
		close(s.operation.ended)
		s.operation.mu.Unlock()
		done()
	}, nil, nil
}

// hold keeps Run from returning until done is called.
func (s *Supervisor) hold() (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.stopping.Err() != nil {
		return nil, ErrStopping
	}
	s.running.Add(1)
	return s.running.Done, nil
}

// Operation says what is under way, "" for nothing.
func (s *Supervisor) Operation() string {
	s.operation.mu.Lock()
	defer s.operation.mu.Unlock()
	if s.operation.name == "" || s.operation.says == "" {
		return s.operation.name
	}
	return s.operation.name + ": " + s.operation.says
}

// Generation is the newest one that there is, or was begun.
func (s *Supervisor) Generation() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// say tells who waits for an operation, and Operation, how far it is.
func (s *Supervisor) say(to func(string), format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.operation.mu.Lock()
	if s.operation.name != "" {
		s.operation.says = text
	}
	s.operation.mu.Unlock()
	to(text)
}

// awaitPause is the time between two lines of who waits for workers to drain.
const awaitPause = time.Second

// vacating returns awaitVacated for the slots, with Run held until it has been
// called. It is called before an operation ends.
func (s *Supervisor) vacating(slots []*slot, say func(string)) (wait func() error, err error) {
	release, err := s.hold()
	if err != nil {
		return nil, err
	}
	return func() error {
		defer release()
		return s.awaitVacated(slots, say)
	}, nil
}

// awaitVacated returns when none of the slots has a process any more.
func (s *Supervisor) awaitVacated(slots []*slot, say func(string)) error {
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for len(slots) > 0 {
		select {
		case <-slots[0].vacated:
			slots = slots[1:]
		case <-tick.C:
			if text := waitedFor(slots); text != "" {
				say(text)
			}
		case <-s.stopping.Done():
			return ErrStopping
		case <-s.frozen.Done():
			return errUpgraded
		}
	}
	return nil
}

// waitedFor says which of the slots still have processes.
func waitedFor(slots []*slot) string {
	left, sessions := 0, 0
	var until time.Time
	for _, sl := range slots {
		now := sl.status.Load()
		if now.PID == 0 {
			continue
		}
		left++
		sessions += now.Left
		if now.Until.After(until) {
			until = now.Until
		}
	}
	if left == 0 {
		return ""
	}
	text := fmt.Sprintf("waiting for %d old workers, with %d sessions", left, sessions)
	if d := time.Until(until).Round(time.Second); d > 0 {
		text += fmt.Sprintf("; at most %v more", d)
	}
	return text
}
