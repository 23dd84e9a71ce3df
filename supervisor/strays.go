package supervisor

import (
	"slices"
	"syscall"
	"time"
)

// strayLook is the time between looks at what was sent SIGKILL, and strayLooks how
// many there are.
const (
	strayLook  = 20 * time.Millisecond
	strayLooks = 100
)

// endStrays kills what a dead worker has left outside its group. It returns when
// all of that is gone, or supervision is frozen.
func (s *Supervisor) endStrays(w *Worker) {
	tick := time.NewTicker(strayLook)
	defer tick.Stop()
	for n := range strayLooks {
		strays := s.straysOf(w)
		if len(strays) == 0 {
			return
		}
		if n == 0 {
			w.log(s.log).Warn("what the worker has left running is killed", "left_behind", namesOf(strays))
		}
		for _, p := range strays {
			p.signal(syscall.SIGKILL)
		}
		select {
		case <-tick.C:
		case <-s.frozen.Done(): // they were sent SIGKILL
			return
		}
	}
	w.log(s.log).Error("what the worker has left running can't be ended", "left_behind", namesOf(s.straysOf(w)))
}

// straysOf returns what has left w's group.
func (s *Supervisor) straysOf(w *Worker) []proc {
	return slices.DeleteFunc(s.family(w), func(p proc) bool { return p.group == w.PID })
}
