package supervisor

import "time"

// A SlotStatus is what a slot was doing at one time.
type SlotStatus struct {
	Slot  int
	State string // one of the package's table
	Since time.Time

	PID         int       // of the slot's worker; 0: there is none
	Incarnation uint32    // of that worker
	Started     time.Time // when it was
	Ready       time.Time // when it became so; zero: it has not

	Starts int       // of processes, this one included, and those that came to nothing
	Deaths int       // in a row, before they were healthy
	Cause  string    // how the process before this one ended; "" if none has
	Next   time.Time // when the next one starts; zero if that is not planned
}

// Status returns what each slot is doing, by number. It waits for nobody.
func (s *Supervisor) Status() []SlotStatus {
	all := make([]SlotStatus, len(s.slots))
	for i, sl := range s.slots {
		all[i] = *sl.status.Load()
		if ready := all[i].Ready; !ready.IsZero() && time.Since(ready) >= backoffHealthy {
			all[i].Deaths = 0 // its death would be the first
		}
	}
	return all
}

// publish notes what the slot is doing for whoever asks. The timer event comes
// after d, if that is not negative.
func (sl *slot) publish(d time.Duration) {
	now := &SlotStatus{
		Slot: sl.n, State: sl.state.String(), Since: sl.since,
		Starts: sl.starts, Deaths: sl.deaths, Cause: sl.cause,
	}
	if w := sl.w; w != nil {
		now.PID, now.Incarnation = w.PID, w.terms.Incarnation
		now.Started, now.Ready = w.started, w.readyAt
	}
	if sl.state == waiting && d >= 0 {
		now.Next = time.Now().Add(d)
	}
	sl.status.Store(now)
}

var stateNames = [...]string{
	waiting: "waiting", starting: "starting", ready: "ready", dumping: "dumping",
	draining: "draining", stopping: "stopping", killing: "killing", done: "done",
}

func (s state) String() string { return stateNames[s] }
