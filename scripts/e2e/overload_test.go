package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openWith opens n connections and sends the same on each.
func (s *server) openWith(n int, input string) (conns []net.Conn) {
	s.t.Helper()
	for range n {
		conn, err := dial(context.Background(), "tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(deadline))
		if _, err := io.WriteString(conn, input); err != nil {
			s.t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}

const whoami = "GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// descriptorsOf counts what a process has open.
func descriptorsOf(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

func TestOverloadPasses(t *testing.T) {
	s, pids := startReady(t, 1, worker("app"), "--window", "4", "--max-waiting", "16", "--hang-timeout", "0")
	freeze(t, pids[1])
	conns := s.openWith(60, whoami)
	answers := make(map[string]int)
	read := func(conn net.Conn) {
		answer, err := io.ReadAll(conn)
		if err != nil || len(answer) < 12 {
			t.Errorf("got %q, %v", answer, err)
			return
		}
		answers[string(answer[9:12])]++
	}
	read(conns[59]) // it is refused; so all others are where they will be
	syscall.Kill(pids[1], syscall.SIGCONT)
	for _, conn := range conns[:59] {
		read(conn)
	}
	t.Log("of 60 requests at once:", answers)
	if answers["200"] < 20 || answers["200"]+answers["503"] != 60 {
		t.Error("a window of 4 and 16 who wait are 20")
	}
	for range 10 { // more than the window
		s.mustGet("/whoami")
	}
}

func TestLimitHoldsForThoseWhoAreOnTheirWayOut(t *testing.T) {
	const limit = 16
	s, _ := startReady(t, 1, worker("app"), "--max-waiting", fmt.Sprint(limit), "--head-timeout", "1m")
	before := descriptorsOf(s.cmd.Process.Pid)
	most := 0
	for range 30 {
		s.openWith(50, "G")
		most = max(most, descriptorsOf(s.cmd.Process.Pid))
	}
	t.Logf("%d descriptors before, %d at most with 1,500 silent clients", before, most)
	if most > before+2*limit+8 {
		t.Error("that is more than twice the limit")
	}
}

func TestLimitHoldsForThoseWhoComeBack(t *testing.T) {
	const limit, clients = 16, 200
	s, _ := startReady(t, 2, worker("app"), "--max-waiting", fmt.Sprint(limit), "--window", "4", "--hang-timeout", "0", "--queue-timeout", "1m")
	a := s.mustGet("/handshake")
	b := s.mustGet("/handshake")
	for b.PID == a.PID {
		b = s.mustGet("/handshake")
	}
	request := func(of reply) string { return "GET /use?sid=" + of.SID + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	var conns []net.Conn
	for range clients {
		conn := s.openWith(1, "")[0]
		s.exchange(conn, request(b))
		conns = append(conns, conn)
	}
	before := descriptorsOf(s.cmd.Process.Pid)
	freeze(t, a.PID)
	defer syscall.Kill(a.PID, syscall.SIGCONT)
	refused := make(chan struct{}, clients) // those above the limit hear so
	for _, conn := range conns {
		io.WriteString(conn, request(a))
		go func() {
			if n, _ := conn.Read(make([]byte, 100)); n > 0 {
				refused <- struct{}{}
			}
		}()
	}
	for range clients - 2*limit - 4 {
		select {
		case <-refused:
		case <-time.After(deadline):
			t.Fatal("nobody is refused")
		}
	}
	now := descriptorsOf(s.cmd.Process.Pid)
	t.Logf("%d descriptors before, %d with %d connections on their way back to a stopped worker", before, now, clients)
	if now > before+3*limit {
		t.Error("the limit was", limit)
	}
}

func TestConnectionThatNobodyTakesGets503(t *testing.T) {
	s, _ := startReady(t, 2, worker("declines"), "--session", "none", "--queue-timeout", "1s", "--drain-timeout", "0s", "--stop-timeout", "0s")
	answer, err := s.talk(whoami)
	if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestOutOfDescriptorsWholeRequestsAreServed(t *testing.T) {
	s := startWithLimit(t, 40, worker("app"), "--workers", "1", "--head-timeout", "1m")
	s.await("worker ready", nil)
	idle := s.openWith(60, "G")
	s.await("accepting pauses for want of resources", nil)
	for _, conn := range idle[:5] {
		io.WriteString(conn, whoami[1:])
		if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			t.Errorf("got %q, %v", answer, err)
		}
	}
	for _, conn := range idle {
		conn.Close()
	}
}

func TestSlowButSteadyWorkerIsNotHung(t *testing.T) {
	s, _ := startReady(t, 1, worker("slow"), "--session", "none", "--hang-timeout", "500ms")
	for _, conn := range s.openWith(30, whoami) { // the last one waits three times as long
		if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 204 ") {
			t.Errorf("got %q, %v", answer, err)
		}
	}
	if hung, _ := s.find("worker hangs, asking for its stacks before killing it", nil); len(hung) > 0 {
		t.Error("it took one after the other, and was killed as hung")
	}
}

func TestStoppedStickydBlamesNobody(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--hang-timeout", "1s") // which a busy machine does not exceed
	for range 3 {
		s.signal(syscall.SIGSTOP)
		conns := s.openWith(20, whoami) // they wait in the kernel
		s.signal(syscall.SIGCONT)
		s.signal(syscall.SIGSTOP)           // perhaps behind a hand-over, before the TAKEN is read
		time.Sleep(1200 * time.Millisecond) // longer than hang_timeout, by the clock
		s.signal(syscall.SIGCONT)
		for _, conn := range conns {
			if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
				t.Errorf("got %q, %v", answer, err)
			}
		}
	}
	if hung, _ := s.find("worker hangs, asking for its stacks before killing it", nil); len(hung) > 0 {
		t.Error("it was stickyd that stood still:", hung)
	}
}

func TestWorkersThatClosedTheirListenerGetNoNewSessions(t *testing.T) {
	s, pids := startReady(t, 4, worker("app"))
	s.handshakes(40, 10)
	for slot := 1; slot <= 2; slot++ {
		syscall.Kill(pids[slot], syscall.SIGUSR1)
		s.await("worker output", func(e event) bool { return e.num("slot") == slot && e.str("line") == "listener closed" })
	}
	for range 40 {
		if r := s.mustGet("/handshake"); r.Slot <= 2 {
			t.Errorf("worker %d, which closed its listener, got a session", r.Slot)
		}
	}
}
