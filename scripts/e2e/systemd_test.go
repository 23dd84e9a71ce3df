package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A service manager hears when clients are served, that all goes on, and how
// long the end may take.
func TestServiceManagerIsInformed(t *testing.T) {
	dir, err := os.MkdirTemp("", "stickyd-e2e-systemd-") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "200000")
	s, pids := startReady(t, 2, worker("app"), "--drain-timeout", "20s", "--stop-timeout", "5s")
	hear(t, conn, "READY=1")
	hear(t, conn, "STATUS=2 of 2 workers ready")
	hear(t, conn, "WATCHDOG=1")
	for _, pid := range pids {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || strings.Contains(string(env), "NOTIFY_SOCKET") || strings.Contains(string(env), "WATCHDOG_USEC") {
			t.Errorf("a worker has what is for stickyd alone (%v)", err)
		}
	}
	freeze(t, s.cmd.Process.Pid)
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGCONT)
	hear(t, conn, "WATCHDOG=1") // it has not got out of step
	s.signal(syscall.SIGTERM)
	hear(t, conn, "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000")
	if status := s.wait(); status != 0 {
		t.Error("exit status ", status)
	}
}

// hear waits until the manager is told something, whatever comes before.
func hear(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(deadline))
	for b := make([]byte, 1024); ; {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("the manager never heard %q: %v", want, err)
		}
		if string(b[:n]) == want {
			return
		}
	}
}

func TestUnitFilesAreValid(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("STICKYD_BIN") != "" { // scripts/test installs it
			t.Fatal(err)
		}
		t.Skip("no systemd here")
	}
	dir := t.TempDir()
	for _, name := range []string{"stickyd.service", "stickyd.socket"} {
		unit, err := os.ReadFile("../../examples/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(unit), "/usr/local/bin/stickyd", binary) // it must exist
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"stickyd.service", "stickyd.socket"} {
		if out, err := exec.Command(tool, "verify", filepath.Join(dir, name)).CombinedOutput(); err != nil || strings.Contains(string(out), "stickyd.s") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
