package supervisor

import "time"

// A SlotStatus is what a slot was doing at one time.
type SlotStatus struct {
	Slot       int
	Generation int
	State      string // one of the package's table
	Why        string // what it waits for; "" if that is plain
	Since      time.Time
	Until      time.Time // when the time of one that drains or finishes is over
	End        time.Time // when one that drains, finishes or stops is killed at the latest
	Leaving    bool      // no process follows this one
	OnTrial    bool      // it has to prove itself before it replaces another

	PID         int       // of the slot's worker; 0: there is none
	Incarnation uint32    // of that worker
	Started     time.Time // when it was
	Ready       time.Time // when it became so; zero: it has not

	client Client // of the worker; nil if it has none, or is gone
	link   Link   // likewise

	Past
	Deaths int       // in a row, before they were healthy
	Next   time.Time // when the next one starts; zero if that is not planned
}

// Status returns what each slot is doing, by number; of one number the oldest
// first. It waits for nobody.
func (s *Supervisor) Status() (all []SlotStatus) {
	stopping := s.stopping.Err() != nil
	for _, sl := range s.all() {
		now := *sl.status.Load()
		if now.State == done.String() && !stopping {
			continue // it is about to be removed
		}
		if !now.Ready.IsZero() && time.Since(now.Ready) >= backoffHealthy {
			now.Deaths = 0 // its death would be the first
		}
		all = append(all, now)
	}
	return all
}

// publish notes what the slot is doing for whoever asks. The timer event comes
// after d, if that is not negative.
func (sl *slot) publish(d time.Duration) {
	now := &SlotStatus{
		Slot: sl.n, Generation: sl.generation, State: sl.state.String(), Why: sl.why(), Since: sl.since,
		Past: sl.past, Deaths: sl.deaths,
		Leaving: sl.leaving && !sl.rests, OnTrial: sl.trial != nil,
	}
	if w := sl.w; w != nil {
		now.PID, now.Incarnation = w.PID, w.terms.Incarnation
		now.Started, now.Ready = w.started, w.readyAt
		if !w.gone {
			now.client, now.link = w.client, w.Link
		}
		if sl.state == draining || sl.state == finishing {
			now.Until = w.until
		}
		now.End = sl.end(d)
	}
	if sl.state == waiting && d >= 0 {
		now.Next = time.Now().Add(d)
	}
	sl.status.Store(now)
}

// end returns when the worker, if it comes to its end, is killed at the latest;
// the timer event comes after d.
func (sl *slot) end(d time.Duration) time.Time {
	switch limit := sl.limits().StopTimeout; sl.state {
	case draining:
		return sl.w.until.Add(finishGrace + limit) // see cutOff, and terminate
	case finishing:
		return sl.w.until.Add(limit)
	case stopping:
		return sl.w.until
	}
	return time.Time{}
}

// Server returns the pid of the process that serves, which a launcher such as npm may
// have started; of one of which that is not known it is the worker's own.
func (s *SlotStatus) Server() int {
	if node := asNode(s.link); node != nil {
		if pid := node.Process(); pid != s.PID && descends(pid, s.PID) {
			return pid
		}
	}
	return s.PID
}

// sessions returns how many the worker has.
func (s *SlotStatus) sessions() (n int) {
	if s.client != nil {
		n, _ = s.client.Remaining()
	}
	return n
}

// connections returns how many the worker was handed.
func (s *SlotStatus) connections() int64 {
	if s.client == nil {
		return 0
	}
	return s.client.Connections()
}

var stateNames = [...]string{
	waiting: "waiting", starting: "starting", ready: "ready", dumping: "dumping",
	draining: "draining", finishing: "finishing", closed: "closed", stopping: "stopping", killing: "killing",
	drained: "drained", done: "done",
}

func (s state) String() string { return stateNames[s] }
