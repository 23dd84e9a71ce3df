package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// MaxWorkers is how many slots there may be.
const MaxWorkers = 1024

// Scale changes the number of slots: to n, or by n. It returns when those that
// are new are ready, and have been for Limits.MinReady, or when those that are
// too many, which are the last ones, have drained and are gone.
func (s *Supervisor) Scale(n int, relative bool, say func(string)) error {
	op, err := s.Begin("scaling")
	if err != nil {
		return err
	}
	wait, err := op.Resize(n, relative, say)
	op.End() // others need not wait for those that drain
	if err != nil {
		return err
	}
	return wait()
}

// Resize is Scale that does not wait for those that are too many; wait does, and
// must be called if there is no error.
func (op *Operation) Resize(n int, relative bool, say func(string)) (wait func() error, err error) {
	s := op.s
	from := s.wanted()
	if relative {
		n += from
	}
	switch {
	case n < 1 || n > MaxWorkers:
		return nil, fmt.Errorf("cannot scale to %d workers: there are %d, and may be 1 to %d", n, from, MaxWorkers)
	case op.cancelled(): // in a step before
		return nil, op.giveUp("%s as before", counted(from, "worker", "workers"))
	case n > from:
		return op.grow(from, n, say)
	case n == from:
		op.Say(say, "there %s already", isOrAre(n))
		return s.vacating(context.Background(), nil, "worker", say)
	}
	if err := s.canSpareAbove(n); err != nil {
		return nil, err
	}
	op.Say(say, "%s instead of %d", counted(n, "worker", "workers"), from)
	return s.vacating(context.Background(), s.shrink(n), "worker", say)
}

// canSpareAbove returns an error if the slots above n have the only ready workers.
// Where none is ready there is nobody to spare.
func (s *Supervisor) canSpareAbove(n int) error {
	serves := false
	var rest []string
	for _, sl := range s.Status() {
		switch {
		case sl.Slot > n:
			serves = serves || sl.State == ready.String()
		case sl.State == ready.String():
			return nil
		case sl.State == drained.String():
			rest = append(rest, strconv.Itoa(sl.Slot))
		}
	}
	if !serves {
		return nil
	}
	err := fmt.Errorf("cannot scale to %s: none of the workers that would stay is ready", counted(n, "worker", "workers"))
	if len(rest) == 0 {
		return fmt.Errorf("%w; try again when stickyd status shows that one is", err)
	}
	const few = 16
	return fmt.Errorf("%w; fill the drained slots first: stickyd restart %s", err, strings.Join(rest[:min(few, len(rest))], " "))
}

// grow adds the slots from+1 to n. If one does not get ready, or crashes before
// all are, or the operation is cancelled, all are given up. wait returns an error
// if one has crashed since.
func (op *Operation) grow(from, n int, say func(string)) (wait func() error, err error) {
	s, m := op.s, newMonitor(0)
	again := fmt.Sprintf("when it is fixed: stickyd scale %d", n)
	switch err := op.add(from, n, m, say); {
	case errors.Is(err, ErrCancelled):
		s.awaitVacated(op.ctx, s.shrink(from), "worker", say)
		return nil, op.giveUp("%s as before", counted(from, "worker", "workers"))
	case err != nil:
		s.awaitVacated(op.ctx, s.shrink(from), "worker", say)
		return nil, op.stopped("scaling", err, fmt.Sprintf("There %s, as before", isOrAre(from)), again)
	}
	op.Say(say, "%s", counted(n, "worker is ready", "workers are ready"))
	return func() error {
		if err := m.err(); err != nil {
			return op.stopped("scaling", err, fmt.Sprintf("There %s all the same", isOrAre(n)), again)
		}
		return nil
	}, nil
}

// add starts the slots from+1 to n, and returns when each has stood its trial, or
// when one has failed it or crashed behind it.
func (op *Operation) add(from, n int, m *monitor, say func(string)) (err error) {
	s := op.s
	s.mu.Lock()
	s.workers = n
	launch, generation := s.current, s.generation
	s.mu.Unlock()
	ctx, stop := m.within(op.ctx)
	defer stop()
	outcomes := make(chan error, n-from)
	for i := range n - from {
		t := newTrial()
		sl := newSlot(s, from+1+i, generation, launch, t)
		sl.monitor = m
		if !s.add(sl) {
			outcomes <- ErrStopping
			continue
		}
		go func() { outcomes <- t.await(ctx, sl) }()
	}
	ready := 0
	for range n - from {
		op.Say(say, "%d of %d new workers are ready", ready, n-from)
		switch outcome := <-outcomes; {
		case outcome == nil:
			ready++
		case err == nil || errors.Is(err, ErrCancelled):
			err = outcome
			stop() // the others go
		}
	}
	return cmp.Or(m.err(), err)
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
	op, err := s.Begin(fmt.Sprintf("draining worker %d", n))
	if err != nil {
		return err
	}
	wait, err := op.drain(n, say)
	op.End()
	if err != nil {
		return err
	}
	return wait()
}

func (op *Operation) drain(n int, say func(string)) (wait func() error, err error) {
	sl, err := op.s.spareable(n)
	if err != nil {
		return nil, err
	}
	sl.order(takeRest)
	op.Say(say, "worker %d drains", n)
	return op.s.vacating(context.Background(), []*slot{sl}, "worker", say)
}

// spareable returns slot n, if another one is ready.
func (s *Supervisor) spareable(n int) (*slot, error) {
	sl := s.holder(n)
	if sl == nil {
		return nil, fmt.Errorf("there is no worker %d; they are numbered 1 to %d", n, s.wanted())
	}
	for _, other := range s.Status() {
		if other.Slot != n && other.State == ready.String() {
			return sl, nil
		}
	}
	return nil, fmt.Errorf("worker %d is the only one that is ready; first stickyd scale +1, or stickyd restart %[1]d instead", n)
}
