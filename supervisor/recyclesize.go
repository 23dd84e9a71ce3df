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

// resident is how much memory a process has, in bytes.
var resident = func(pid int) int64 { // tests have another
	bytes, _, _ := ProcessUsage(pid)
	return bytes
}

// A size looks at how much memory workers have, for who recycles them.
type size struct {
	of  func(pid int) int64
	log *slog.Logger

	limit       int64                 // 0: none; what follows is about it
	least       map[int]time.Duration // how long a slot's worker is left alone, if not sizeFirst
	early, seen map[uint32]bool       // incarnations too large from the beginning: by the last look, and by this one
	said        bool                  // that the limit is too low
}

// begin comes before a look at all workers that are ready.
func (s *size) begin(limit int64) {
	if limit != s.limit {
		s.limit, s.least, s.seen, s.said = limit, make(map[int]time.Duration), nil, false
	}
	s.early, s.seen = s.seen, make(map[uint32]bool)
}

// reached says that a worker has reached the limit, and has been left alone long
// enough; else "". early says that it was too large from the beginning.
func (s *size) reached(now *SlotStatus, at time.Time) (why string, early bool) {
	if s.limit == 0 {
		return "", false
	}
	bytes, age := s.of(now.Server()), at.Sub(now.Ready)
	if bytes < s.limit {
		return "", false
	}
	if early = age < sizeSoon || s.early[now.Incarnation]; early {
		s.seen[now.Incarnation] = true
	}
	if age < s.leastOf(now.Slot) {
		return "", early
	}
	if early && !s.said {
		s.said = true
		s.log.Warn("workers have recycle_memory as soon as they are ready: raise it; until then they are replaced ever more seldom",
			"slot", now.Slot, "pid", now.PID, "memory_mib", bytes>>20, "recycle_memory_mib", s.limit>>20)
	}
	return fmt.Sprintf("it has %d MiB of memory", bytes>>20), early
}

func (s *size) leastOf(slot int) time.Duration { return max(sizeFirst, s.least[slot]) }

// replaced is told of each worker that was recycled for its size.
func (s *size) replaced(n int, early bool) {
	if early {
		s.least[n] = min(2*s.leastOf(n), sizeMost)
	} else {
		delete(s.least, n)
	}
}
