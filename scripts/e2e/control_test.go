package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stickyd/stickyd/supervisor/admin"
)

// controlled starts stickyd with ready workers and a control socket.
func controlled(t *testing.T, n int, command []string, flags ...string) (s *server, pids map[int]int, control string) {
	t.Helper()
	control = filepath.Join(socketDir(t), "control.sock")
	s, pids = startReady(t, n, command, append(flags, "--control", control)...)
	return s, pids, control
}

// socketDir returns a directory whose name is short enough for a socket's path.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stickyd-e2e-control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// ask runs a command that talks to a stickyd.
func ask(t *testing.T, verb, control string, flags ...string) (status int, out string) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{verb, "--control", control}, flags...)...)
	text, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

func askStatus(t *testing.T, control string) (s admin.Status) {
	t.Helper()
	status, out := ask(t, "status", control, "--json")
	if err := json.Unmarshal([]byte(out), &s); status != 0 || err != nil {
		t.Fatalf("status --json: exit status %d, %v: %s", status, err, out)
	}
	return s
}

func TestStatusShowsWorkersAndTheirSessions(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"))
	for range 10 {
		s.mustGet("/handshake")
	}
	st := askStatus(t, control)
	if st.PID != s.cmd.Process.Pid || st.Sessions != 10 || len(st.Listen) != 1 || st.Listen[0] != s.addr || st.Stopping {
		t.Errorf("status %+v", st)
	}
	sessions := 0
	for i, w := range st.Workers {
		if w.Slot != i+1 || w.PID != pids[w.Slot] || w.State != "ready" || w.Restarts != 0 || w.Crashes != 0 || w.ResidentBytes == 0 || w.LastExit != "" {
			t.Errorf("worker %+v", w)
		}
		sessions += w.Sessions
	}
	if len(st.Workers) != 2 || sessions != 10 {
		t.Errorf("%d workers with %d sessions", len(st.Workers), sessions)
	}
	syscall.Kill(pids[2], syscall.SIGKILL)
	s.awaitN(2, "worker ready", func(e event) bool { return e.num("slot") == 2 })
	eventually(t, "the status of the replacement", func() bool {
		w := askStatus(t, control).Workers[1]
		return w.PID != pids[2] && w.State == "ready" && w.Crashes == 1 && w.Restarts == 0 && w.LastExit == "signal: killed" && w.Sessions == 0
	})
	if status, out := ask(t, "status", control); status != 0 || !strings.Contains(out, "SLOT  STATE") || !strings.Contains(out, "signal: killed") {
		t.Errorf("exit status %d: %s", status, out)
	}
}

func TestStopCommandWaitsAndRemovesTheSocket(t *testing.T) {
	s, _, control := controlled(t, 2, worker("app"))
	status, out := ask(t, "stop", control)
	if status != 0 || !strings.HasSuffix(out, "stopped\n") {
		t.Errorf("exit status %d: %s", status, out)
	}
	if code := s.wait(); code != 0 {
		t.Errorf("stickyd's exit status is %d", code)
	}
	if _, err := os.Lstat(control); !os.IsNotExist(err) {
		t.Error("the socket is still there: ", err)
	}
	if status, out := ask(t, "status", control); status != 1 || !strings.Contains(out, "no stickyd answers on the control socket") {
		t.Errorf("afterwards: exit status %d: %s", status, out)
	}
}

func TestLogsAndEvents(t *testing.T) {
	s, pids, control := controlled(t, 1, worker("chatty"))
	s.mustGet("/handshake") // its answer is behind its first line
	eventually(t, "a line of the worker", func() bool {
		status, out := ask(t, "logs", control, "-n", "2", "1")
		return status == 0 && strings.HasPrefix(out, "[1] chat chat ") && strings.Count(out, "\n[1] chat ") == 1
	})
	events := exec.Command(binary, "events", "-f", "--control", control)
	out, err := events.StdoutPipe()
	if err == nil {
		err = events.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(out)
	read.ReadString('\n') // it follows
	heir := s.replace(1, pids[1])
	if status, out := ask(t, "stop", control); status != 0 {
		t.Errorf("stop: exit status %d: %s", status, out)
	}
	text, _ := io.ReadAll(read)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	want := fmt.Sprintf(`msg="worker ready" slot=1 pid=%d `, heir)
	if err := events.Wait(); err != nil || !strings.Contains(string(text), want) || !strings.Contains(lines[len(lines)-1], "level=INFO msg=stopped ") {
		t.Errorf("events: %v: %s", err, text)
	}
}

func TestControlIsFoundByPort(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"))
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	if status, out := ask(t, "status", port); status != 0 || !strings.Contains(out, s.addr) {
		t.Errorf("exit status %d: %s", status, out)
	}
}

func TestControlCanBeOff(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"), "--control", "off")
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	if status, out := ask(t, "status", port); status != 1 {
		t.Errorf("exit status %d: %s", status, out)
	}
}

func TestMetricsAreServed(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--metrics", "127.0.0.1:0")
	s.mustGet("/handshake")
	url := "http://" + s.await("metrics", nil).str("addr") + "/metrics"
	for _, line := range []string{"stickyd_sessions 1", "stickyd_connections_accepted_total 1", `stickyd_worker_ready{slot="2"} 1`} {
		eventually(t, line, func() bool { // a session is counted when its worker's message is read
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return err == nil && strings.Contains(string(body), "\n"+line+"\n")
		})
	}
}

// A start that fails leaves nothing behind.
func TestControlSocketThatCannotBe(t *testing.T) {
	dir, err := os.MkdirTemp("", "stickyd-e2e-control-") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	clients, control := filepath.Join(dir, "clients.sock"), filepath.Join(dir, "control.sock")
	taken, err := net.Listen("unix", control)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out, err := exec.Command(binary, append([]string{"--listen", "unix:" + clients, "--control", control, "--"}, worker("app")...)...).CombinedOutput()
	if want := "cannot open the control socket " + control + ": address already in use by e2e.test (pid "; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Error("left behind: ", left)
	}
}
