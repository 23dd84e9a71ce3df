package demo

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A book is a registry that remembers.
type book struct {
	mu     sync.Mutex
	bound  map[string]bool
	refuse error
}

func (b *book) Bind(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	if b.bound == nil {
		b.bound = make(map[string]bool)
	}
	b.bound[id] = true
	return nil
}

func (b *book) Unbind(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bound, id)
}

func (b *book) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bound[id]
}

func mustOpen(t *testing.T, s *sessions) string {
	t.Helper()
	st, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.id
}

func TestIDsAreSafeInAURLAndDiffer(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
	seen := make(map[string]bool)
	for range 1000 {
		id := newID()
		if !shape.MatchString(id) || seen[id] {
			t.Fatalf("id %q: malformed or seen before", id)
		}
		seen[id] = true
	}
}

func TestSessionCounts(t *testing.T) {
	s := newSessions(&book{})
	a, b := mustOpen(t, s), mustOpen(t, s)
	for range 3 {
		s.use(a, 1)
	}
	if st, ok := s.use(a, 0); !ok || st.id != a || st.count != 3 {
		t.Errorf("use(a) = %+v, %v; want a count of 3", st, ok)
	}
	if st, ok := s.use(b, 1); !ok || st.count != 1 {
		t.Errorf("use(b) = %+v, %v; want a count of 1", st, ok)
	}
	if _, ok := s.use("nobody", 1); ok {
		t.Error("an id that was never given is known")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions(&book{})
	for range maxSessions {
		mustOpen(t, s)
	}
	if _, err := s.open(t.Context()); !errors.Is(err, errFull) {
		t.Errorf("open beyond the limit: %v; want %v", err, errFull)
	}
	if n := s.len(); n != maxSessions {
		t.Errorf("%d sessions; want %d", n, maxSessions)
	}
}

func TestSessionThatCannotBeRegisteredIsForgotten(t *testing.T) {
	refusal := errors.New("no")
	s := newSessions(&book{refuse: refusal})
	if _, err := s.open(t.Context()); !errors.Is(err, refusal) {
		t.Errorf("open: %v; want %v", err, refusal)
	}
	if n := s.len(); n != 0 {
		t.Errorf("%d sessions; want none", n)
	}
}

func TestIdleSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		s := newSessions(b)
		idle, used := mustOpen(t, s), mustOpen(t, s)
		time.Sleep(maxIdle - time.Second)
		s.use(used, 0)
		time.Sleep(2 * time.Second)
		if _, ok := s.use(idle, 0); ok || b.has(idle) {
			t.Errorf("the idle session: known %v, registered %v", ok, b.has(idle))
		}
		if _, ok := s.use(used, 0); !ok || !b.has(used) {
			t.Errorf("the used session: known %v, registered %v", ok, b.has(used))
		}
		time.Sleep(maxIdle + time.Second)
		if n := s.len(); n != 0 {
			t.Errorf("%d sessions outlived their idle time", n)
		}
	})
}
