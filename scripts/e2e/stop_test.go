package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// beginSlow starts a request that ends when the file appears.
func (s *server) beginSlow(file string) <-chan reply {
	s.t.Helper()
	before, _ := s.find("worker output", isSlow)
	done := s.getMeanwhile("/slow?until=" + file)
	s.awaitN(len(before)+1, "worker output", isSlow)
	return done
}

// getMeanwhile asks for a path; the reply's status is -1 if there is none.
func (s *server) getMeanwhile(path string) <-chan reply {
	done := make(chan reply, 1)
	go func() {
		r, err := s.get(path)
		if err != nil {
			r.status = -1
		}
		done <- r
	}()
	return done
}

// killNow is ^C twice.
func (s *server) killNow() {
	s.t.Helper()
	s.signal(syscall.SIGINT)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	again := time.NewTicker(50 * time.Millisecond) // the first of them may pass for an echo
	defer again.Stop()
	for {
		select {
		case <-s.exited:
			return
		case <-again.C:
			s.signal(syscall.SIGINT)
		}
	}
}

// QUIT is what nginx and its kin stop gracefully for. Go would print its stacks.
func TestQuitStopsGracefully(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"))
	file := filepath.Join(t.TempDir(), "go")
	slow := s.beginSlow(file)
	s.signal(syscall.SIGQUIT)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-slow; r.status != http.StatusOK {
		t.Error("an open request: status", r.status)
	}
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
}

// A terminal that is closed ends stickyd as TERM does. Where there is none, or
// it stays, a hangup reloads, and nohup keeps even that away.
func TestHangupStopsOnlyWhereTheTerminalIsGone(t *testing.T) {
	control := filepath.Join(socketDir(t), "control.sock")
	command := append([]string{binary, "-l", "127.0.0.1:0", "--log-format", "json", "-n", "1", "--control", control, "--"}, worker("app")...)
	s := launchCommand(t, exec.Command("script", "-qec", strings.Join(command, " "), "/dev/null")) // on a terminal of its own
	s.await("worker ready", nil)
	pid := askStatus(t, control).PID
	syscall.Kill(pid, syscall.SIGHUP)
	s.await("done", func(e event) bool { return e.str("what") == "reload" })
	s.cmd.Process.Kill() // whose terminal it is; the kernel sends SIGHUP
	eventually(t, "its end", func() bool { return !alive(pid) })
	if _, err := os.Lstat(control); err == nil {
		t.Error("it did not stop in order: its control socket is there")
	}

	s = launchCommand(t, exec.Command("nohup", append([]string{binary, "-l", "127.0.0.1:0", "--log-format", "json", "-n", "1", "--"}, worker("app")...)...))
	s.addr = s.await("listening", nil).str("addr")
	s.await("worker ready", nil)
	s.signal(syscall.SIGHUP)
	s.mustGet("/whoami")
}

// Who signals a process and its group sends the signal twice.
func TestEchoOfASignalIsNoSecondOne(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"))
	file := filepath.Join(t.TempDir(), "go")
	done := s.beginSlow(file)
	s.signal(syscall.SIGTERM)
	s.signal(syscall.SIGTERM)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	touch(t, file)
	if r := await(t, done); r.status != http.StatusOK {
		t.Error("the open request ended with status", r.status)
	}
	s.wait()
}

func isSlow(e event) bool { return e.str("line") == "slow request began" }

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, done <-chan reply) reply {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(deadline):
		t.Fatal("a request was never answered")
	}
	panic("unreachable")
}

func TestInterruptLetsOpenRequestsFinish(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"))
	file := filepath.Join(t.TempDir(), "go")
	done := s.beginSlow(file)
	s.signal(syscall.SIGINT)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	eventually(t, "a closed port", func() bool { _, err := s.get("/whoami"); return err != nil })
	touch(t, file)
	if r := await(t, done); r.status != http.StatusOK {
		t.Error("the open request ended with status", r.status)
	}
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
}

func TestSecondInterruptEndsEverythingAtOnce(t *testing.T) {
	s, pids := startReady(t, 2, worker("stubborn"), "--drain-timeout", "1h")
	child := childOf(s, pids[1])
	s.killNow()
	for _, pid := range []int{pids[1], pids[2], child} {
		if alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestWorkerThatDoesNotFinishIsTerminatedAndThenKilled(t *testing.T) {
	s, pids := startReady(t, 1, worker("stubborn"), "--drain-timeout", "50ms", "--stop-timeout", "50ms")
	child := childOf(s, pids[1])
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
	s.await("worker did not finish in time, sending SIGTERM", nil)
	s.await("worker did not stop in time, killing it", nil)
	if alive(pids[1]) || alive(child) {
		t.Error("it is still there, or its child")
	}
}

func TestNobodyOutlivesStickyd(t *testing.T) {
	for _, kind := range []string{"app", "stubborn"} {
		t.Run(kind, func(t *testing.T) {
			s, pids := startReady(t, 3, worker(kind))
			processes := []int{pids[1], pids[2], pids[3]}
			if kind == "stubborn" {
				processes = append(processes, childOf(s, pids[1]), childOf(s, pids[2]))
			}
			s.signal(syscall.SIGKILL)
			began := time.Now()
			s.wait()
			for _, pid := range processes {
				eventually(t, fmt.Sprint("the end of process ", pid), func() bool { return !alive(pid) })
			}
			t.Logf("%d processes gone %v after stickyd was killed", len(processes), time.Since(began).Round(time.Millisecond))
		})
	}
}

func TestOpenRequestFinishesWhenStickydIsKilled(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"))
	file := filepath.Join(t.TempDir(), "go")
	done := s.beginSlow(file)
	s.signal(syscall.SIGKILL)
	s.wait()
	touch(t, file)
	if r := await(t, done); r.status != http.StatusOK {
		t.Error("the open request ended with status", r.status)
	}
}

// marked reports whether a process has text in its environment.
func marked(text string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if env, _ := os.ReadFile(file); strings.Contains(string(env), text) {
			return true
		}
	}
	return false
}

// Not even those that were about to start when it was killed, and know nothing
// of stickyd.
func TestNobodyOutlivesStickydThatIsKilledWhileItStarts(t *testing.T) {
	for i := range 10 {
		mark := fmt.Sprintf("E2E_MARK=%d-%d", os.Getpid(), i)
		t.Run(mark, func(t *testing.T) {
			t.Parallel()
			s := launch(t, "-l", "127.0.0.1:0", "-n", "32", "--log-format", "json", "--log-level", "debug", "--env", mark, "--", "sleep", "300")
			s.awaitN(1+3*i, "worker started", nil)
			s.signal(syscall.SIGKILL)
			s.wait()
			eventually(t, "the end of all workers", func() bool { return !marked(mark) })
		})
	}
}

// What a worker had not taken when it was killed at the end gets an answer.
func TestUntakenConnectionsAtTheEndAreAnswered(t *testing.T) {
	s, pids := startReady(t, 1, worker("app"), "--hang-timeout", "0", "--drain-timeout", "100ms", "--stop-timeout", "100ms")
	freeze(t, pids[1])
	conns := s.openWith(10, whoami)
	s.signal(syscall.SIGTERM)
	for _, conn := range conns {
		if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
			t.Errorf("got %q, %v", answer, err)
		}
	}
	s.wait()
}

// A request for another worker's session on a kept-alive connection is served
// while stickyd waits for others to be.
func TestHandBackWorksWhileStopping(t *testing.T) {
	s, _ := startReady(t, 3, worker("app"), "--balance", "round-robin", "--window", "1", "--hang-timeout", "0", "--queue-timeout", "1m", "--drain-timeout", "1m")
	owners := []reply{s.mustGet("/handshake"), s.mustGet("/handshake"), s.mustGet("/handshake")}
	use := func(of reply) string { return "GET /use?sid=" + of.SID + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	conn := s.openWith(1, "")[0]
	s.exchange(conn, use(owners[1]))
	freeze(t, owners[0].PID)
	s.openWith(3, use(owners[0])) // one in the window, two that wait for it
	s.signal(syscall.SIGTERM)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	if r := s.exchange(conn, use(owners[2])); r.status != http.StatusOK || r.PID != owners[2].PID {
		t.Errorf("status %d from %d, want 200 from %d", r.status, r.PID, owners[2].PID)
	}
	syscall.Kill(owners[0].PID, syscall.SIGCONT)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
}

func TestDescriptorInBlockingModeHoldsUpNobody(t *testing.T) {
	s, _ := startReady(t, 1, worker("blocking"), "--head-timeout", "300ms", "--hang-timeout", "0")
	if answer, err := s.talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 408 ") {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestGuardianIsReplaced(t *testing.T) {
	s, pids := startReady(t, 1, worker("stubborn"))
	child := childOf(s, pids[1])
	first := guardianOf(t, s.cmd.Process.Pid)
	syscall.Kill(first, syscall.SIGKILL)
	s.await("guardian process died, starting another", nil)
	eventually(t, "another guardian", func() bool { g := findGuardian(s.cmd.Process.Pid); return g != 0 && g != first })
	s.signal(syscall.SIGKILL)
	s.wait()
	eventually(t, "the end of the worker and its child", func() bool { return !alive(pids[1]) && !alive(child) })
}

func guardianOf(t *testing.T, parent int) (pid int) {
	t.Helper()
	eventually(t, "a guardian", func() bool { pid = findGuardian(parent); return pid != 0 })
	return pid
}

func findGuardian(parent int) int {
	tasks, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range tasks {
		text, _ := os.ReadFile(stat)
		name, rest, _ := strings.Cut(string(text), ") ")
		var state string
		var ppid, pid int
		fmt.Sscan(rest, &state, &ppid)
		if strings.HasSuffix(name, "(sticky-guardian") && ppid == parent {
			fmt.Sscan(name, &pid)
			return pid
		}
	}
	return 0
}

func TestWorkerInheritsFourDescriptors(t *testing.T) {
	extra, err := os.Open("/dev/zero") // what stickyd was started with goes no further
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	// No pipe in it: the shell would have that open, too.
	const script = `ls -m /proc/$$/fd; exec sleep 300`
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--log-format", "json", "-n", "2", "--drain-timeout", "0s",
		"--", "sh", "-c", script)
	cmd.ExtraFiles = []*os.File{extra, extra, extra}
	s := launchCommand(t, cmd)
	for _, e := range s.awaitN(2, "worker output", nil) {
		fds := strings.Split(e.str("line"), ", ")
		if !slices.Equal(fds, []string{"0", "1", "2", "3"}) {
			t.Errorf("worker %d has descriptors %v", e.num("slot"), fds)
		}
	}
}
