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

// recycle looks after that until supervision ends.
func (s *Supervisor) recycle() {
	size := size{log: s.log, of: func(pid int) int64 {
		resident, _, _ := ProcessUsage(pid)
		return resident
	}}
	for pause := recyclePause; ; {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.stopping.Done():
			timer.Stop()
			return
		case <-s.frozen.Done():
			timer.Stop()
			return
		}
		pause = recyclePause
		n, why := s.due(&size)
		if n == 0 {
			continue
		}
		s.log.Info("recycling a worker", "slot", n, "why", why)
		if err := s.recycleOne(n, &size); err != nil {
			s.log.Error("worker was not recycled, it stays", "slot", n, "err", err, "next_try", recycleRetry)
			pause = recycleRetry
		}
	}
}

// recycleOne replaces the worker of slot n and waits until the old one is gone:
// one at a time, also to drain.
func (s *Supervisor) recycleOne(n int, size *size) error {
	op, err := s.begin(&Operation{name: fmt.Sprintf("recycling worker %d", n), background: true}, false)
	if err != nil {
		return err
	}
	say := func(string) {}
	wait, err := op.roll(nil, Rollout{Slots: []int{n}, MaxUnready: -1}, say)
	op.End()
	if err == nil {
		size.replaced(n)
		wait() // what ends that early ends us, too
	}
	return err
}

// due returns the slot whose worker is to be replaced, and why: of several the
// one with the fewest sessions; 0 for none, also while an operation is under way.
func (s *Supervisor) due(size *size) (n int, why string) {
	limits := s.limits.Load().Recycling
	if limits == (Recycling{}) || s.Operation() != "" {
		return 0, ""
	}
	fewest := 0
	for _, sl := range s.all() {
		now := sl.status.Load()
		if now.State != ready.String() || now.OnTrial {
			continue
		}
		reason := limits.reached(now)
		if reason == "" {
			reason = size.reached(now, limits.Memory, time.Now())
		}
		if sessions := now.sessions(); reason != "" && (n == 0 || sessions < fewest) {
			n, why, fewest = now.Slot, reason, sessions
		}
	}
	return n, why
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
