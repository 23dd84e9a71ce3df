package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// broken reports whether err says that a connection ended, not that it was
// answered wrongly.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// A crashRun is a load of many sessions during which one worker is killed.
type crashRun struct {
	s      *server
	owners []reply
	victim int // pid

	killed   atomic.Bool
	lost     atomic.Int64 // requests of the victim's sessions that were answered 404
	retried  atomic.Int64 // on a new connection, since the old one ended with the victim
	answered atomic.Int64
}

// load sends requests over one connection after another until stop is closed.
func (c *crashRun) load(t *testing.T, seed int, stop <-chan struct{}) {
	var l *line
	last := 0 // pid that answered last on this connection
	for {
		select {
		case <-stop:
			if l != nil {
				l.conn.Close()
			}
			return
		default:
		}
		if l == nil {
			var err error
			if l, err = c.s.openLine(seed); err != nil {
				t.Error(err)
				return
			}
			last = 0
		}
		owner := c.owners[l.rnd.IntN(len(c.owners))]
		err := l.send(l.newExchange(owner))
		switch {
		case err == nil:
			last = owner.PID
			c.answered.Add(1)
		case owner.PID == c.victim && c.killed.Load():
			c.lost.Add(1) // it is gone, or was while we asked
			l.conn.Close()
			l = nil
		case broken(err) && last == c.victim && c.killed.Load():
			// The connection was in the victim's hands, whoever the request was
			// for. A client tries again on a new one.
			c.retried.Add(1)
			l.conn.Close()
			l = nil
		default:
			t.Errorf("a session of worker %d, which lives (the connection was at %d): %v", owner.PID, last, err)
			return
		}
	}
}

func TestCrashCostsOnlyTheWorkersOwnSessions(t *testing.T) {
	const sessions, connections, workers = 400, 20, 4
	s, pids := startReady(t, workers, worker("app"))
	c := &crashRun{s: s, owners: make([]reply, sessions), victim: pids[2]}
	parallel(sessions, connections, func(i int) { c.owners[i] = s.mustGet("/handshake") })

	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range connections {
		load.Go(func() { c.load(t, i, stop) })
	}
	eventually(t, "load", func() bool { return c.answered.Load() > 1000 || t.Failed() })
	c.killed.Store(true)
	heir := s.replace(2, c.victim)
	died := s.await("worker died", func(e event) bool { return e.num("pid") == c.victim })
	after := c.answered.Load()
	eventually(t, "load after the crash", func() bool { return c.answered.Load() > after+1000 || t.Failed() })
	close(stop)
	load.Wait()

	mine := 0
	for _, o := range c.owners {
		if o.PID == c.victim {
			mine++
			if r, err := s.get("/use?sid=" + o.SID); err != nil || r.status != http.StatusNotFound {
				t.Errorf("session of the dead worker: status %d, error %v; want the 404 of another", r.status, err)
			}
		} else if r := s.mustGet("/use?sid=" + o.SID); r.PID != o.PID {
			t.Errorf("session of worker %d answered by %d", o.PID, r.PID)
		}
	}
	if died.num("sessions_lost") != mine {
		t.Errorf("%d sessions were lost, says the log; they were %d", died.num("sessions_lost"), mine)
	}
	// The dead one's ids are free for others: a table that still held them
	// would refuse.
	for _, o := range c.owners {
		if o.PID == c.victim {
			s.mustGet("/handshake?want=" + o.SID)
			s.mustGet("/use?sid=" + o.SID)
		}
	}
	if refused, _ := s.find("session refused", nil); len(refused) > 0 {
		t.Errorf("%d registrations were refused", len(refused))
	}
	t.Logf("killed worker 2 (%d of %d sessions), pid %d took its place; %d requests answered, %d of its sessions' lost, %d retried on a new connection",
		mine, sessions, heir, c.answered.Load(), c.lost.Load(), c.retried.Load())
}

// askMany sends n requests without a session, each on a connection of its own,
// and returns how many bytes it has sent and a channel with the replies.
func (s *server) askMany(t *testing.T, n int) <-chan reply {
	t.Helper()
	replies := make(chan reply, n)
	var sent sync.WaitGroup
	for range n {
		sent.Add(1)
		go func() {
			conn, err := dial(t.Context(), "tcp", s.addr)
			if err != nil {
				t.Error(err)
				sent.Done()
				return
			}
			defer conn.Close()
			_, err = io.WriteString(conn, "GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			sent.Done()
			replies <- readReply(conn, err)
		}()
	}
	sent.Wait()
	return replies
}

// readReply returns a reply whose status is 0 if none came.
func readReply(conn net.Conn, err error) (r reply) {
	if err != nil {
		return r
	}
	conn.SetDeadline(time.Now().Add(deadline))
	raw, err := io.ReadAll(conn)
	if err != nil || len(raw) < 12 {
		return r
	}
	fmt.Sscanf(string(raw[9:12]), "%d", &r.status)
	fmt.Sscanf(headerOf(string(raw), "X-Pid"), "%d", &r.PID)
	return r
}

// checkAllAnswered sees that n replies are good and come from nobody but pid.
func checkAllAnswered(t *testing.T, replies <-chan reply, n int, not int) {
	t.Helper()
	for i := range n {
		select {
		case r := <-replies:
			if r.status != http.StatusOK || r.PID == not {
				t.Errorf("reply %d: status %d from worker %d", i, r.status, r.PID)
			}
		case <-time.After(deadline):
			t.Fatalf("%d of %d connections were never answered", n-i, n)
		}
	}
}

func TestConnectionsThatADeadWorkerHadNotTakenAreAnsweredByAnother(t *testing.T) {
	const window, requests = 16, 60
	s, pids := startReady(t, 2, worker("app"), "--window", strconv.Itoa(window), "--balance", "round-robin")
	freeze(t, pids[1])
	replies := s.askMany(t, requests)
	// The other worker has answered all but the window of the stopped one.
	got := make([]reply, 0, requests)
	for len(got) < requests-window {
		select {
		case r := <-replies:
			got = append(got, r)
		case <-time.After(deadline):
			t.Fatalf("%d answers while one worker is stopped, want %d", len(got), requests-window)
		}
	}
	syscall.Kill(pids[1], syscall.SIGKILL)
	checkAllAnswered(t, replies, window, pids[1])
	e := s.await("connections that the worker had not taken go elsewhere", nil)
	if e.num("connections") != window {
		t.Errorf("%d connections went elsewhere, want %d", e.num("connections"), window)
	}
	for _, r := range got {
		if r.status != http.StatusOK {
			t.Error("status", r.status)
		}
	}
}

func TestSessionsConnectionsWaitForTheirStoppedOwner(t *testing.T) {
	const window = 4
	s, pids := startReady(t, 2, worker("app"), "--window", strconv.Itoa(window))
	owner := s.mustGet("/handshake")
	freeze(t, owner.PID)
	replies := make(chan reply, 3*window)
	var asked sync.WaitGroup
	for range 3 * window {
		asked.Go(func() {
			r, err := s.get("/use?sid=" + owner.SID)
			if err != nil {
				t.Error(err)
			}
			replies <- r
		})
	}
	for range 10 { // others are served meanwhile
		if r := s.mustGet("/whoami"); r.PID == owner.PID {
			t.Error("a stopped worker answered")
		}
	}
	syscall.Kill(owner.PID, syscall.SIGCONT)
	asked.Wait()
	for range 3 * window {
		if r := <-replies; r.PID != owner.PID || r.status != http.StatusOK {
			t.Errorf("status %d from worker %d, want 200 from %d", r.status, r.PID, owner.PID)
		}
	}
	_ = pids
}

func TestHungWorkerIsReplacedAndItsConnectionsAnswered(t *testing.T) {
	const window, requests = 8, 40
	s, pids := startReady(t, 2, worker("app"), "--window", strconv.Itoa(window), "--balance", "round-robin",
		"--hang-timeout", "500ms", "--dump-grace", "100ms")
	freeze(t, pids[1])
	checkAllAnswered(t, s.askMany(t, requests), requests, pids[1])
	s.await("worker hangs, asking for its stacks before killing it", func(e event) bool { return e.num("pid") == pids[1] })
	s.await("worker ready", func(e event) bool { return e.num("slot") == 1 && e.num("pid") != pids[1] })
}

func TestHungWorkerLeavesItsStacks(t *testing.T) {
	s, pids := startReady(t, 1, worker("deaf"), "--hang-timeout", "300ms", "--dump-grace", "30s", "--drain-timeout", "100ms")
	go s.get("/whoami")
	s.await("worker output", func(e event) bool { return e.num("pid") == pids[1] && e.str("line") == "SIGQUIT: quit" })
	s.await("worker died", func(e event) bool { return e.num("pid") == pids[1] })
}

func TestKilledWorkersGroupIsKilled(t *testing.T) {
	s, pids := startReady(t, 1, worker("stubborn"))
	child := childOf(s, pids[1])
	syscall.Kill(pids[1], syscall.SIGKILL)
	eventually(t, "the end of the worker's child", func() bool { return !alive(child) })
	s.killNow()
}

// childOf waits for the pid that a stubborn worker prints.
func childOf(s *server, pid int) (child int) {
	s.t.Helper()
	e := s.await("worker output", func(e event) bool { return e.num("pid") == pid })
	if _, err := fmt.Sscanf(e.str("line"), "child %d", &child); err != nil {
		s.t.Fatal(e, err)
	}
	return child
}
