package workerproto

import "sync"

// A sessionSet is the ids of the sessions that live in this worker. The zero
// value is empty. It is safe for concurrent use.
type sessionSet struct {
	mu  sync.RWMutex
	ids map[string]struct{}
}

func (s *sessionSet) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = make(map[string]struct{})
	}
	s.ids[id] = struct{}{}
}

// remove reports whether id was there.
func (s *sessionSet) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ids[id]
	delete(s.ids, id)
	return ok
}

func (s *sessionSet) has(id []byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.ids[string(id)]
	return ok
}
