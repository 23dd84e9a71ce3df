package supervisor

import (
	"fmt"
	"time"
)

// Recycling replaces workers that have done enough, or have grown too large: one
// at a time, by the same way as a rolling restart, so that the place is never
// empty and their sessions may end first. Zero means for no such reason.
type Recycling struct {
	Age         time.Duration // since a worker was started
	Connections int           // that it was handed
	Memory      int64         // in bytes, resident, of its process alone; see size
}

const (
	// recyclePause is the time between looks.
	recyclePause = time.Second

	// recycleRetry is the time after a replacement that did not get ready.
	recycleRetry = time.Minute
)

// A candidate is a worker that is to be replaced.
type candidate struct {
	slot        int
	why         string
	size, early bool // it is for its size, and has had that from the beginning
}

// recycle looks after that until supervision ends. It looks at how large workers
// are also while one is replaced, and while the old one drains: an heir gets its
// size early.
func (s *Supervisor) recycle() {
	size := size{log: s.log, of: resident}
	tick := time.NewTicker(recyclePause)
	defer tick.Stop()
	var old *candidate
	var outcome chan error // of its replacement; closed when it is gone, nil: there is none
	var pause time.Time    // until then nothing is replaced
	for {
		select {
		case <-tick.C:
		case err, ok := <-outcome:
			switch {
			case !ok:
				outcome = nil
			case err != nil:
				s.log.Error("worker was not recycled, it stays", "slot", old.slot, "err", err, "next_try", recycleRetry)
				pause = time.Now().Add(recycleRetry)
			case old.size:
				size.replaced(old.slot, old.early)
			}
			continue
		case <-s.stopping.Done():
			return
		case <-s.frozen.Done():
			return
		}
		due := s.due(&size)
		if due == nil || outcome != nil || time.Now().Before(pause) {
			continue
		}
		s.log.Info("recycling a worker", "slot", due.slot, "why", due.why)
		old, outcome = due, make(chan error, 1)
		s.running.Go(func() { s.recycleOne(due.slot, outcome) })
	}
}

// recycleOne replaces the worker of slot n, says how that went, and closes outcome
// when the old one is gone: one at a time, also to drain.
func (s *Supervisor) recycleOne(n int, outcome chan<- error) {
	defer close(outcome)
	op, err := s.begin(&Operation{name: fmt.Sprintf("recycling worker %d", n), background: true}, false)
	if err != nil {
		outcome <- err
		return
	}
	wait, err := op.roll(nil, Rollout{Slots: []int{n}, MaxUnready: -1}, func(string) {})
	op.End()
	outcome <- err
	if err == nil {
		wait() // what ends that early ends us, too, or is in the log
	}
}

// due looks at all workers, and returns the one that is to be replaced: of several
// the one with the fewest sessions; nil for none, also while an operation is under
// way.
func (s *Supervisor) due(size *size) (due *candidate) {
	limits := s.limits.Load().Recycling
	size.begin(limits.Memory)
	if limits == (Recycling{}) {
		return nil
	}
	busy, fewest := s.Operation() != "", 0
	for _, sl := range s.all() {
		now := sl.status.Load()
		if now.State != ready.String() {
			continue
		}
		large, early := size.reached(now, time.Now())
		if now.OnTrial || busy {
			continue
		}
		one := &candidate{slot: now.Slot, why: limits.reached(now), early: early}
		if one.why == "" {
			one.why, one.size = large, true
		}
		if sessions := now.sessions(); one.why != "" && (due == nil || sessions < fewest) {
			due, fewest = one, sessions
		}
	}
	return due
}

// reached says which limit but that of memory a worker has reached; "" for none.
func (r *Recycling) reached(now *SlotStatus) string {
	if age := time.Since(now.Started); r.Age > 0 && age >= r.Age {
		return fmt.Sprintf("it is %v old", age.Round(time.Second))
	}
	if n := now.connections(); r.Connections > 0 && n >= int64(r.Connections) {
		return fmt.Sprintf("it has had %d connections", n)
	}
	return ""
}
