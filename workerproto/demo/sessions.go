package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"
)

const (
	// maxSessions is how many sessions one worker holds.
	maxSessions = 500

	// maxIdle is how long a session lives that nobody asks for. The page asks
	// all the time; browsers slow the timers of a hidden page to once a minute.
	maxIdle = 10 * time.Minute
)

// A registry tells stickyd where sessions live. It is a *workerproto.Worker.
type registry interface {
	Bind(ctx context.Context, id string) error
	Unbind(id string)
}

// sessions are those that live in this process, and die with it. Its methods
// may be called from any goroutine.
type sessions struct {
	registry registry

	mu   sync.Mutex
	byID map[string]*session
}

type session struct {
	count  int
	opened time.Time
	used   time.Time
	expiry *time.Timer
}

// A state is what a session was at one moment.
type state struct {
	id    string
	count int
	age   time.Duration
}

func newSessions(r registry) *sessions {
	return &sessions{registry: r, byID: make(map[string]*session)}
}

var errFull = fmt.Errorf("this worker holds %d sessions and takes no more", maxSessions)

// open begins a session. When it returns, stickyd has been told: a request
// with the id that comes any time later finds its way here.
func (s *sessions) open(ctx context.Context) (state, error) {
	id := newID()
	if !s.add(id) {
		return state{}, errFull
	}
	if err := s.registry.Bind(ctx, id); err != nil {
		s.remove(id)
		return state{}, fmt.Errorf("cannot register the session: %w", err)
	}
	return state{id: id}, nil
}

// newID returns 20 characters that are safe in a URL: 120 random bits.
func newID() string {
	var b [15]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *sessions) add(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= maxSessions {
		return false
	}
	now := time.Now()
	s.byID[id] = &session{
		opened: now, used: now,
		expiry: time.AfterFunc(maxIdle, func() { s.expire(id) }),
	}
	return true
}

func (s *sessions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		e.expiry.Stop()
		delete(s.byID, id)
	}
}

// use adds to a session's counter. It reports whether the session lives here.
func (s *sessions) use(id string, add int) (state, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[id]
	if e == nil {
		return state{}, false
	}
	e.count += add
	e.used = time.Now()
	return state{id: id, count: e.count, age: e.used.Sub(e.opened)}, true
}

// expire ends a session that was idle for long enough. The timer runs on when
// a session is used, which is cheaper than to set it anew each time.
func (s *sessions) expire(id string) {
	s.mu.Lock()
	e := s.byID[id]
	if e == nil {
		s.mu.Unlock()
		return
	}
	if left := maxIdle - time.Since(e.used); left > 0 {
		e.expiry.Reset(left)
		s.mu.Unlock()
		return
	}
	delete(s.byID, id)
	s.mu.Unlock()
	s.registry.Unbind(id)
}

// len returns how many sessions live here.
func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}
