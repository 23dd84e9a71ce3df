package front

import (
	"sync"
	"time"
)

const (
	handful = 3  // requests speak for something
	many    = 20 // do where it may have another reason
)

// hint returns what the results of the search make likely. Few requests prove
// nothing: a client may send all others on its first connection, where they are not
// seen, and after a start clients carry ids from before it.
func (f *Front) hint(s *search) hint {
	h := hint{search: s, sessions: f.router.Bound()}
	carried, found, dead := s.results()
	without := f.Stats.Without.Load() - s.began
	clue := s.clues.best()
	switch {
	case len(s.sources) == 0, found+dead > 0: // an id was that of a session
	case clue.n >= handful && int64(clue.n) > carried:
		h.clue = clue.spec
		if h.suspicion = wrongPlace; h.sessions == 0 {
			h.suspicion = unregistered
		}
	case carried < handful && h.sessions >= many && without >= many:
		h.suspicion = blind
	case h.sessions == 0 && (carried >= handful && without > 0 || carried >= many):
		h.suspicion = unbound
	case carried >= handful && h.sessions >= handful:
		h.suspicion = mismatch
	}
	return h
}

// told remembers which suspicions were logged.
type told struct {
	mu   sync.Mutex
	done [len(suspicions)]bool
	busy bool // a second thought is given to one
}

// begin reports whether the suspicion is new, and a second thought may begin.
func (t *told) begin(s suspicion) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || t.done[s] {
		return false
	}
	t.busy = true
	return true
}

// end ends the second thought, and notes whether the suspicion was logged.
func (t *told) end(s suspicion, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy, t.done[s] = false, done
}

func (t *told) has(s suspicion) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done[s]
}

// secondThought is how long a suspicion has to last before it is logged: after a
// start some requests come before the first session is registered, and others before
// its second request.
const secondThought = 2 * time.Second

// consider is called for the nth connection that was handed over without an id, or
// the nth with an unknown one. There may be many of either; but if there is nothing
// else, --session or the workers are wrong, which is hard to see from outside.
func (f *Front) consider(n int64) {
	s := f.settings.Load().search
	if n%handful != 0 || s.found() || f.stopping.Err() != nil {
		return
	}
	h := f.hint(s)
	if h.suspicion == nothing || !s.told.begin(h.suspicion) {
		return
	}
	f.tasks.force(func() {
		lasts := f.sleep(f.stopping, secondThought) && f.settings.Load().search == s
		if lasts {
			again := f.hint(s)
			if lasts = again.suspicion == h.suspicion; lasts {
				again.log(f.log)
			}
		}
		s.told.end(h.suspicion, lasts)
	})
}

// Hint says in a sentence why requests may miss their sessions, as long as a logged
// suspicion holds; else it is "".
func (f *Front) Hint() string {
	s := f.settings.Load().search
	h := f.hint(s)
	if h.suspicion == nothing || !s.told.has(h.suspicion) {
		return ""
	}
	return h.String()
}
