package front

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stickyd/stickyd/routing/session"
)

// A search is where session ids are looked for, and what has come of that.
type search struct {
	sources []*source // by the index of session.Sources
	began   int64     // Stats.Without then
	clues   clues
	told    told
}

// searchFor returns the search in these places: the present one, if it is there.
func (f *Front) searchFor(specs []string) *search {
	next := &search{began: f.Stats.Without.Load()}
	now := f.settings.Load()
	if now == nil {
		next.sources = sourcesOf(specs, nil)
		return next
	}
	if slices.Equal(now.Sessions.Strings(), specs) {
		return now.search
	}
	next.sources = sourcesOf(specs, now.sources)
	return next
}

// places returns where ids are looked for.
func (s *search) places() (specs []string) {
	for _, source := range s.sources {
		specs = append(specs, source.spec)
	}
	return specs
}

// results returns how many connections were handed over with an id, and for how many
// of these the session was found, or its worker had died.
func (s *search) results() (carried, found, dead int64) {
	for i, source := range s.sources {
		if slices.Contains(s.sources[:i], source) {
			continue
		}
		found += source.found.Load()
		dead += source.dead.Load()
		carried += source.unknown.Load()
	}
	return carried + found + dead, found, dead
}

// found reports whether an id has ever led to its session.
func (s *search) found() bool {
	for _, source := range s.sources {
		if source.found.Load() > 0 {
			return true
		}
	}
	return false
}

// Of the requests without an id the first, and later one in so many, are searched for
// clues.
const (
	firstHeads = 64
	everyHead  = 64
)

// maxClues bounds the places that are remembered, whose names clients choose.
const maxClues = 8

// clues are places in which requests without an id carry what looks like one.
type clues struct {
	heads atomic.Int64 // of requests without an id

	mu  sync.Mutex
	all []clue
}

type clue struct {
	spec string
	n    int // requests
}

// wantsClues reports whether to search a request without an id for clues. Call it once
// for each. Once an id has led to its session there is nothing to find out.
func (s *search) wantsClues() bool {
	if len(s.sources) == 0 || s.found() {
		return false
	}
	n := s.clues.heads.Add(1)
	return n <= firstHeads || n%everyHead == 0
}

// note remembers where else the request that raw begins with may carry an id.
func (s *search) note(raw []byte) {
	var room [4]session.Guess
	s.clues.mu.Lock()
	defer s.clues.mu.Unlock()
	for _, g := range session.AppendGuesses(room[:0], raw) {
		if !s.looksAt(g) {
			s.clues.add(g)
		}
	}
}

// looksAt reports whether the place is one of the sources, and what it has no id.
func (s *search) looksAt(g session.Guess) bool {
	for _, source := range s.sources {
		if g.Is(source.spec) {
			return true
		}
	}
	return false
}

func (c *clues) add(g session.Guess) {
	for i := range c.all {
		if g.Is(c.all[i].spec) {
			c.all[i].n++
			return
		}
	}
	if len(c.all) < maxClues {
		c.all = append(c.all, clue{g.Spec(), 1})
	}
}

// best returns the place in which most requests carry something.
func (c *clues) best() (most clue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, clue := range c.all {
		if clue.n > most.n {
			most = clue
		}
	}
	return most
}
