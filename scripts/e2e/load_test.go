package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A client is one kept-alive connection. Unlike an http.Client it never
// tries again on another one.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func (s *server) connect() (*client, error) {
	conn, err := dial(context.Background(), "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// mustConnect closes the connection when the test ends.
func (s *server) mustConnect() *client {
	s.t.Helper()
	c, err := s.connect()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *client) ask(path string) error {
	c.conn.SetDeadline(time.Now().Add(deadline))
	_, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: stickyd.test\r\n\r\n", path)
	return err
}

func (c *client) hear() (r reply, err error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return r, fmt.Errorf("reading a response: %w", err)
	}
	defer resp.Body.Close()
	r.status = resp.StatusCode
	if r.status != http.StatusOK {
		return r, nil
	}
	return r, json.NewDecoder(resp.Body).Decode(&r)
}

func (c *client) get(path string) (reply, error) {
	if err := c.ask(path); err != nil {
		return reply{}, err
	}
	return c.hear()
}

// mustGet fails the test unless a worker answers with 200.
func (c *client) mustGet(t *testing.T, path string) reply {
	t.Helper()
	r, err := c.get(path)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("GET %s: status %d, error %v", path, r.status, err)
	}
	return r
}

// A load is clients that ask without a pause, each for one thing at a time. That
// one is refused, reset, answered with anything but 200, or answered by a worker
// that does not own its session, fails the test.
type load struct {
	s       *server
	owners  []reply // of sessions that are used from the beginning to the end
	stop    chan struct{}
	clients sync.WaitGroup
	kinds   []string
	asked   []atomic.Int64 // by kind

	mu  sync.Mutex
	new []reply // sessions that were begun
}

// A kind of client does one thing again and again.
type kind struct {
	name string
	ask  func(i int) error
}

// startLoad begins with these sessions.
func (s *server) startLoad(owners []reply) *load {
	l := &load{s: s, owners: owners, stop: make(chan struct{})}
	kept := s.mustConnect()
	kinds := append(l.users(),
		kind{"new connection", func(int) error { return s.expect(0, "/whoami") }},
		kind{"kept-alive", func(int) error { return expect(kept.get, 0, "/whoami") }},
	)
	for range 4 { // the moment between the two requests is what matters
		kinds = append(kinds, kind{"handshake and use", func(int) error { return l.meet() }})
	}
	return l.start(kinds)
}

// startUse begins with requests of these sessions, and no others.
func (s *server) startUse(owners []reply) *load {
	l := &load{s: s, owners: owners, stop: make(chan struct{})}
	return l.start(l.users())
}

// startVisits begins with sessions that last for a moment, and requests without
// one, all on new connections.
func (s *server) startVisits() *load {
	l := &load{s: s, stop: make(chan struct{})}
	visit := func(int) error {
		owner, err := s.get("/handshake")
		if err != nil || owner.status != http.StatusOK {
			return fmt.Errorf("handshake: status %d, error %w", owner.status, err)
		}
		return errors.Join(s.expect(owner.PID, "/use?sid="+owner.SID), s.expect(owner.PID, "/end?sid="+owner.SID))
	}
	return l.start([]kind{
		{"new connection", func(int) error { return s.expect(0, "/whoami") }},
		{"handshake, use and end", visit}, {"handshake, use and end", visit},
	})
}

func (l *load) users() []kind {
	kept := l.s.mustConnect()
	return []kind{
		{"session, new connection", func(i int) error { return l.use(l.s.get, i) }},
		{"sessions, one kept-alive", func(i int) error { return l.use(kept.get, i) }},
	}
}

func (l *load) start(kinds []kind) *load {
	l.asked = make([]atomic.Int64, len(kinds))
	for k, kind := range kinds {
		l.kinds = append(l.kinds, kind.name)
		l.clients.Go(func() {
			for i := 0; !closed(l.stop); i++ {
				if err := kind.ask(i); err != nil {
					l.s.t.Errorf("%s, request %d: %v", kind.name, i, err)
					return
				}
				l.asked[k].Add(1)
			}
		})
	}
	l.s.t.Cleanup(l.end)
	return l
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (l *load) use(get func(string) (reply, error), i int) error {
	owner := l.owners[i%len(l.owners)]
	return expect(get, owner.PID, "/use?sid="+owner.SID)
}

// meet begins a session and uses it at once.
func (l *load) meet() error {
	owner, err := l.s.get("/handshake")
	if err != nil || owner.status != http.StatusOK {
		return fmt.Errorf("handshake: status %d, error %w", owner.status, err)
	}
	l.mu.Lock()
	l.new = append(l.new, owner)
	l.mu.Unlock()
	return l.s.expect(owner.PID, "/use?sid="+owner.SID)
}

// begun returns the sessions that were begun, and are still there.
func (l *load) begun() []reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.new)
}

// expect asks for an answer of that process, or of any for 0.
func (s *server) expect(pid int, path string) error { return expect(s.get, pid, path) }

func expect(get func(string) (reply, error), pid int, path string) error {
	r, err := get(path)
	switch {
	case err != nil:
		return err
	case r.status != http.StatusOK:
		return fmt.Errorf("status %d", r.status)
	case pid != 0 && r.PID != pid:
		return fmt.Errorf("worker %d answered, but %d has the session", r.PID, pid)
	}
	return nil
}

// goesOn waits until clients of each kind had n answers more.
func (l *load) goesOn(n int64) {
	l.s.t.Helper()
	for k := range l.asked {
		before := l.asked[k].Load()
		eventually(l.s.t, fmt.Sprintf("%d answers more (%s)", n, l.kinds[k]), func() bool {
			return l.s.t.Failed() || l.asked[k].Load() >= before+n
		})
	}
}

// end lets the clients go; it may be called twice.
func (l *load) end() {
	if !closed(l.stop) {
		close(l.stop)
	}
	l.clients.Wait()
}

// String says how many were answered.
func (l *load) String() (text string) {
	for k, kind := range l.kinds {
		text += fmt.Sprintf("%s: %d; ", kind, l.asked[k].Load())
	}
	return text[:len(text)-len("; ")]
}

// beginSessions begins so many.
func (s *server) beginSessions(n int) (owners []reply) {
	s.t.Helper()
	for range n {
		owners = append(owners, s.mustGet("/handshake"))
	}
	return owners
}

// checkSessions asks for each of them at its owner.
func (s *server) checkSessions(owners []reply) {
	s.t.Helper()
	for _, owner := range owners {
		if err := s.expect(owner.PID, "/use?sid="+owner.SID); err != nil {
			s.t.Errorf("session %s: %v", owner.SID, err)
		}
	}
}

// endSessionsOf ends those of them that this worker has.
func (s *server) endSessionsOf(pid int, owners []reply) {
	s.t.Helper()
	for _, owner := range owners {
		if owner.PID == pid {
			s.mustGet("/end?sid=" + owner.SID)
		}
	}
}
