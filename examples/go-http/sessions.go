package main

import (
	"sync"
	"time"
)

// sessions are the counts that live in this process, and die with it. Its
// methods may be called from any goroutine. It knows nothing of stickyd.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

type session struct {
	visits int
	used   time.Time
}

func newSessions() *sessions { return &sessions{byID: make(map[string]*session)} }

// begin makes a session with that id, of one visit.
func (s *sessions) begin(id string) (visits int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = &session{visits: 1, used: time.Now()}
	return 1
}

// use counts a visit and returns how many there were. It reports whether there is
// such a session.
func (s *sessions) use(id string) (visits int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil {
		return 0, false
	}
	one.visits++
	one.used = time.Now()
	return one.visits, true
}

// end ends a session. It reports whether there was one.
func (s *sessions) end(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.byID[id]
	delete(s.byID, id)
	return ok
}

// endIdle ends the sessions that were not used for so long, and returns their
// ids.
func (s *sessions) endIdle(idle time.Duration) (ended []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.byID {
		if time.Since(one.used) >= idle {
			delete(s.byID, id)
			ended = append(ended, id)
		}
	}
	return ended
}
