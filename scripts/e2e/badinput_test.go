package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBadCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := []string{"--listen", "127.0.0.1:0"}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"unknown flag", []string{"--wrokers", "3", "--", "true"}, 2, []string{"unknown flag --wrokers", "--workers"}},
		{"value out of range", []string{"--window", "900", "--", "true"}, 2, []string{"--window", "900", "between 1 and 250"}},
		{"bad session source", []string{"--session", "path:/x", "--", "true"}, 2, []string{"path:/x", "{}"}},
		{"no command", nil, 2, []string{"no command to run", "stickyd -- ./myserver"}},
		{"unknown key", []string{"--config", file("a.toml", "listen = \":0\"\nhead-timeout = \"1s\"\n", 0o600), "--", "true"}, 2,
			[]string{"a.toml:2", "head-timeout", "head_timeout"}},
		{"key out of range", []string{"--config", file("b.toml", "# limits\n\nwindow = 0\n", 0o600), "--", "true"}, 2,
			[]string{"b.toml:3", "window", "between 1 and 250"}},
		{"port in use", []string{"--listen", taken.Addr().String(), "--", "true"}, 1,
			[]string{"cannot listen on " + taken.Addr().String(), fmt.Sprintf("already in use by e2e.test (pid %d); stop it, or choose another with --listen", os.Getpid())}},
		{"a file where the socket should be", []string{"--listen", "unix:" + file("precious", "precious", 0o600), "--", "true"}, 1,
			[]string{"cannot listen on unix:", "precious", "no socket is there"}},
		{"command missing in PATH", append(free, "--", "no-such-command"), 1, []string{"no-such-command", "write ./no-such-command"}},
		{"command missing in a directory", append(free, "--", "./no-such-command"), 1, []string{"./no-such-command", "no such file"}},
		{"command in one word", append(free, "--", "./no-such-command -x"), 1, []string{"separate words"}},
		{"command not executable", append(free, "--", file("script", "#!/bin/sh\n", 0o600)), 1, []string{"chmod +x"}},
		{"command that is no program", append(free, "--", file("garbage", "\x00\x01", 0o700)), 1, []string{"#!/bin/sh"}},
		{"the same, with settings", append(free, "--worker-nice", "1", "--", file("garbage2", "\x00\x01", 0o700)), 1, []string{"#!/bin/sh"}},
		{"interpreter missing, with settings", append(free, "--worker-nice", "1", "--", file("orphan", "#!/no/such\n", 0o700)), 1, []string{"interpreter"}},
		{"command missing, with settings", append(free, "--worker-nice", "1", "--on-crash-loop", "exit", "--", "no-such-command"), 1, []string{"write ./no-such-command"}},
		{"unknown user", append(free, "--user", "no-such-user", "--", "true"), 1, []string{unlessRoot("no-such-user")}},
		{"unknown group", append(free, "--group", "no-such-group", "--", "true"), 1, []string{unlessRoot("no-such-group")}},
		{"user without a group", append(free, "--user", "2147483646", "--", "true"), 1, []string{unlessRoot("give one as well")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := launch(t, tt.args...)
			if status := s.wait(); status != tt.status {
				t.Errorf("exit status %d, want %d", status, tt.status)
			}
			for _, want := range tt.want {
				eventually(t, "in what it prints: "+want, func() bool { return strings.Contains(s.output(), want) })
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(dir, "precious")); string(text) != "precious" {
		t.Error("the file that was no socket is gone:", err)
	}
}

// unlessRoot returns what is said to others than root, and to root want.
func unlessRoot(want string) string {
	if os.Geteuid() != 0 {
		return "only a stickyd that root has started"
	}
	return want
}

func TestMissingCommandIsTriedAgainWhereThatIsAskedFor(t *testing.T) {
	s := start(t, []string{"./no-such-command"}, "--on-crash-loop", "keep", "--workers", "1")
	s.awaitN(2, "worker will be started again", nil)
}

func TestCommandThatKeepsExitingEndsStickydWithItsLastLines(t *testing.T) {
	s := start(t, worker("exits"), "--workers", "2", "--queue-timeout", "1m")
	waiting := make(chan string, 1)
	go func() {
		answer, err := s.talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			answer = err.Error()
		}
		waiting <- answer
	}()
	if status := s.wait(); status != 1 {
		t.Error("exit status", status)
	}
	for _, want := range []string{"no worker has become ready", "exit status 7", "this worker has nothing to do", "is the command one of these?"} {
		eventually(t, "in what it prints: "+want, func() bool { return strings.Contains(s.output(), want) })
	}
	if answer := <-waiting; !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
		t.Errorf("a client that waited got %q", answer)
	}
}

func TestWorkerThatIsNeverReadyIsReplaced(t *testing.T) {
	s := start(t, worker("never-ready"), "--workers", "1", "--start-timeout", "200ms", "--queue-timeout", "300ms")
	s.awaitN(2, "worker is not ready in time, killing it", nil)
	s.await("worker died", func(e event) bool { return e.str("exit") == "not ready in time and killed by stickyd" })
	answer, err := s.talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "\r\nRetry-After: ") {
		t.Errorf("a client got %q, %v", answer, err)
	}
}

func TestWorkerThatSpeaksNonsenseIsReplaced(t *testing.T) {
	s := start(t, worker("nonsense"), "--workers", "1")
	e := s.await("worker broke the protocol, killing it", nil)
	if !strings.Contains(e.str("err"), "not HELLO") && !strings.Contains(e.str("err"), "body of") {
		t.Error("the log says", e.str("err"))
	}
	s.awaitN(2, "worker died", nil)
}

func TestWorkerThatReturnsADescriptorTwiceIsReplaced(t *testing.T) {
	s := start(t, worker("returns-twice"), "--workers", "1", "--session", "none")
	go s.get("/")
	e := s.await("worker broke the protocol, killing it", nil)
	if !strings.Contains(e.str("err"), "returned before") {
		t.Error("the log says", e.str("err"))
	}
	s.awaitN(2, "worker ready", nil)
}

// Whatever one worker does, who is served by the others notices nothing.
func TestOthersAreServedBesideABadWorker(t *testing.T) {
	for _, tt := range []struct{ kind, event string }{
		{"exits", "worker died"},
		{"never-ready", "worker is not ready in time, killing it"},
		{"nonsense", "worker broke the protocol, killing it"},
		{"returns-twice", "worker broke the protocol, killing it"},
		{"deaf", "worker hangs, asking for its stacks before killing it"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, worker(tt.kind+"/app"), "--workers", "3",
				"--start-timeout", "2s", "--hang-timeout", "300ms", "--dump-grace", "100ms", "--drain-timeout", "1s", "--stop-timeout", "1s")
			for slot := 2; slot <= 3; slot++ {
				s.await("worker ready", func(e event) bool { return e.num("slot") == slot })
			}
			isBad := func(e event) bool { return e.num("slot") == 1 }
			var owner reply
			for owner.Slot == 0 { // a bad worker may be asked first: then it is another's turn
				owner, _ = s.get("/handshake")
			}
			for seen := 0; seen < 2; { // it happens, is mended and happens again
				if r := s.mustGet("/use?sid=" + owner.SID); r.PID != owner.PID {
					t.Errorf("worker %d answered, the owner is %d", r.PID, owner.PID)
				}
				go s.get("/whoami") // something to do for the bad one
				found, _ := s.find(tt.event, isBad)
				seen = len(found)
			}
		})
	}
}

func TestIdOfALiveWorkersSessionIsRefusedToOthers(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--balance", "round-robin")
	owner := s.mustGet("/handshake?want=precious-session-id")
	s.mustGet("/whoami?sid=precious-session-id")                            // so that stickyd has read its BIND before the other's
	for s.mustGet("/handshake?want=precious-session-id").PID == owner.PID { // until the other one tries
	}
	e := s.await("session refused", nil)
	if e.num("pid") == owner.PID || !strings.Contains(e.str("err"), "live worker holds") {
		t.Error("the log says", e)
	}
	if strings.Contains(s.output(), "precious-session-id") {
		t.Error("the log has the whole session id")
	}
	for range 4 {
		if r := s.mustGet("/use?sid=precious-session-id"); r.PID != owner.PID {
			t.Errorf("worker %d answered, the owner is %d", r.PID, owner.PID)
		}
	}
}

// badClients are clients that get an answer of our own, and how it begins.
var badClients = []struct{ name, input, want string }{
	{"nothing", "", "HTTP/1.1 408 "},
	{"half a request line", "GET / HT", "HTTP/1.1 408 "},
	{"no end of the header", "GET / HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 408 "},
	{"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400 "},
	{"garbage", "\x00\x01\x02garbage\r\n\r\n", "HTTP/1.1 400 "},
	{"a line that is no request", "hello, are you there\r\n\r\n", "HTTP/1.1 400 "},
	{"HTTP/2 at once", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
	{"an endless line", "GET /" + strings.Repeat("a", 20_000), "HTTP/1.1 414 "},
	{"64 KiB of headers", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 118)+"\r\n", 512) + "\r\n", "HTTP/1.1 431 "},
}

func TestBadClientsAreAnsweredAndOthersServed(t *testing.T) {
	// With a header source the whole header must come.
	s, _ := startReady(t, 2, worker("app"), "--session", "header:Mcp-Session-Id", "--session", "query:sid", "--head-timeout", "500ms")
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.mustGet("/whoami")
			}
		}
	})
	t.Run("clients", func(t *testing.T) {
		for _, tt := range badClients {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				answer, err := s.talk(tt.input)
				if err != nil || !strings.HasPrefix(answer, tt.want) || !strings.Contains(answer, "\r\nConnection: close\r\n") {
					t.Errorf("got %q, %v; want %s", answer, err, tt.want)
				}
			})
		}
		t.Run("one byte at a time, too slowly", func(t *testing.T) {
			t.Parallel()
			conn, err := dial(context.Background(), "tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(deadline))
			go func() {
				for i := 0; ; i++ {
					if _, err := io.WriteString(conn, string("GET / HTTP/1.1\r\nX: "[min(i, 18)])); err != nil {
						return
					}
					time.Sleep(50 * time.Millisecond) // this is the slowness
				}
			}()
			answer, err := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
				t.Errorf("got %q, %v", answer, err)
			}
		})
	})
	close(stop)
	others.Wait()
}

func TestSilentClientsDontKeepOthersOut(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"), "--max-waiting", "16", "--head-timeout", "1m")
	for range 100 { // six times as many as may wait
		conn, err := dial(context.Background(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "G"); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		s.mustGet("/whoami")
	}
}

func TestHeadInTwoPiecesAtEveryPlace(t *testing.T) {
	s, _ := startReady(t, 3, worker("app"))
	owner := s.mustGet("/handshake")
	request := "GET /use?transport=polling&sid=" + owner.SID + "&t=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, pause := range []bool{false, true} {
		parallel(len(request)-1, 20, func(i int) {
			conn, err := dial(context.Background(), "tcp", s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, request[:i+1])
			if pause {
				time.Sleep(20 * time.Millisecond) // the second segment comes alone
			}
			io.WriteString(conn, request[i+1:])
			if r := readReply(conn, nil); r.PID != owner.PID || r.status != 200 {
				t.Errorf("cut behind byte %d, pause %v: status %d from worker %d, want 200 from %d", i+1, pause, r.status, r.PID, owner.PID)
			}
		})
	}
}

func TestOutOfDescriptorsIsSurvived(t *testing.T) {
	s := startWithLimit(t, 40, worker("app"), "--workers", "1", "--head-timeout", "3s")
	s.await("worker ready", nil)
	var idle []net.Conn
	for range 60 {
		conn, err := dial(context.Background(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "G")
		idle = append(idle, conn)
	}
	s.await("accepting pauses for want of resources", nil)
	for _, conn := range idle {
		conn.Close()
	}
	s.mustGet("/whoami")
}
