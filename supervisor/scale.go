package supervisor

import (
	"errors"
	"fmt"
	"sync"
)

// MaxWorkers is how many slots there may be.
const MaxWorkers = 1024

// Scale changes the number of slots: to n, or by n. It returns when those that
// are new are ready, and have been for Limits.MinReady, or when those that are
// too many, which are the last ones, have drained and are gone.
func (s *Supervisor) Scale(n int, relative bool, say func(string)) error {
	wait, err := s.scale(n, relative, say)
	if err != nil {
		return err
	}
	return wait()
}

// Resize is Scale to n that does not wait for those that are too many; wait does,
// and must be called if there is no error.
func (s *Supervisor) Resize(n int, say func(string)) (wait func() error, err error) {
	return s.scale(n, false, say)
}

func (s *Supervisor) scale(n int, relative bool, say func(string)) (wait func() error, err error) {
	end, err := s.begin("scaling")
	if err != nil {
		return nil, err
	}
	defer end() // others need not wait for those that drain
	s.mu.Lock()
	from := s.workers
	s.mu.Unlock()
	if relative {
		n += from
	}
	if n < 1 || n > MaxWorkers {
		return nil, fmt.Errorf("cannot scale to %d workers: there are %d, and may be 1 to %d", n, from, MaxWorkers)
	}
	if n > from {
		if err := s.grow(from, n, say); err != nil {
			return nil, err
		}
		return s.vacating(nil, say)
	}
	s.say(say, "%d workers instead of %d", n, from)
	return s.vacating(s.shrink(n), say)
}

// grow adds the slots from+1 to n. Those that do not get ready are given up.
func (s *Supervisor) grow(from, n int, say func(string)) error {
	s.mu.Lock()
	s.workers = n
	launch, generation := s.current, s.generation
	s.mu.Unlock()
	trials := make([]*trial, n-from)
	for i := range trials {
		trials[i] = newTrial()
		if !s.add(newSlot(s, from+1+i, generation, launch, trials[i])) {
			trials[i].outcome <- ErrStopping
		}
	}
	var errs []error
	for i, t := range trials {
		s.say(say, "%d of %d new workers are ready", i-len(errs), len(trials))
		if err := <-t.outcome; err != nil {
			errs = append(errs, fmt.Errorf("worker %d: %w", from+1+i, err))
		}
	}
	if len(errs) == 0 {
		s.say(say, "%d workers are ready", n)
		return nil
	}
	s.awaitVacated(s.shrink(from), say)
	return fmt.Errorf("there are %d workers as before: %w", from, errors.Join(errs...))
}

// shrink lets the slots above n drain, and returns them. All have been told by
// then: what comes next must not take them for slots that stay.
func (s *Supervisor) shrink(n int) (old []*slot) {
	s.mu.Lock()
	s.workers = n
	for _, sl := range s.slots {
		if sl.n > n {
			old = append(old, sl)
		}
	}
	s.mu.Unlock()
	var telling sync.WaitGroup
	for _, sl := range old {
		telling.Go(func() { sl.order(leave) })
	}
	telling.Wait()
	return old
}

// wanted returns how many slots there are to be.
func (s *Supervisor) wanted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers
}

// Drain lets the sessions of slot n's worker come to their ends, and keeps the
// slot empty until Restart fills it. It returns when the worker is gone.
func (s *Supervisor) Drain(n int, say func(string)) error {
	end, err := s.begin(fmt.Sprintf("draining worker %d", n))
	if err != nil {
		return err
	}
	sl, err := s.spareable(n)
	if err != nil {
		end()
		return err
	}
	sl.order(takeRest)
	s.say(say, "worker %d drains", n)
	wait, err := s.vacating([]*slot{sl}, say)
	end()
	if err != nil {
		return err
	}
	return wait()
}

// spareable returns slot n, if another one is ready.
func (s *Supervisor) spareable(n int) (*slot, error) {
	sl := s.holder(n)
	if sl == nil {
		return nil, fmt.Errorf("there is no worker %d: they are numbered from 1 to %d", n, s.wanted())
	}
	for _, other := range s.Status() {
		if other.Slot != n && other.State == ready.String() {
			return sl, nil
		}
	}
	return nil, fmt.Errorf("no worker but %d is ready, and somebody has to serve: scale up first, or restart it instead", n)
}
