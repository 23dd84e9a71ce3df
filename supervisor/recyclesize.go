package supervisor

import (
	"fmt"
	"log/slog"
	"time"
)

// A worker may have more memory than Recycling allows as soon as it is ready: to
// replace it changes nothing. So it is left alone for a while before it is
// replaced for that, and its heir for twice as long if it is like that as well.
const (
	sizeFirst = time.Minute
	sizeMost  = time.Hour
	sizeSoon  = 10 * time.Second // after it got ready: from the beginning
)

// A size looks at how much memory workers have, for who recycles them.
type size struct {
	of  func(pid int) int64 // resident, in bytes
	log *slog.Logger

	limit int64             // that what follows is about
	slots map[int]*sizeTold // by number
	said  bool              // that the limit is too low
}

// A sizeTold is what is known of a slot; the incarnations are 0 for none.
type sizeTold struct {
	least time.Duration // how long its worker is left alone
	early uint32        // the incarnation that was too large from the beginning
	large uint32        // the one that is to be replaced
}

// reached says that a worker that is ready has reached the limit in bytes, 0 for
// none, and has been left alone long enough; else "".
func (s *size) reached(now *SlotStatus, limit int64, at time.Time) string {
	if limit != s.limit {
		s.limit, s.slots, s.said = limit, make(map[int]*sizeTold), false
	}
	if limit == 0 {
		return ""
	}
	told := s.slots[now.Slot]
	if told == nil {
		told = &sizeTold{least: sizeFirst}
		s.slots[now.Slot] = told
	}
	resident, age := s.of(now.PID), at.Sub(now.Ready)
	switch {
	case resident < limit:
		told.early = 0
		return ""
	case age < sizeSoon:
		told.early = now.Incarnation
	}
	if age < told.least {
		return ""
	}
	told.large = now.Incarnation
	if told.early == told.large && !s.said {
		s.said = true
		s.log.Warn("workers have recycle_memory as soon as they are ready: raise it; until then they are replaced ever more seldom",
			"slot", now.Slot, "pid", now.PID, "memory_mib", resident>>20, "recycle_memory_mib", limit>>20)
	}
	return fmt.Sprintf("it has %d MiB of memory", resident>>20)
}

// replaced is told of each slot whose worker was recycled.
func (s *size) replaced(n int) {
	switch told := s.slots[n]; {
	case told == nil || told.large == 0: // it was for something else
	case told.early == told.large:
		told.least, told.large = min(2*told.least, sizeMost), 0
	default:
		delete(s.slots, n)
	}
}
