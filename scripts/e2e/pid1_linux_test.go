package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// startAsPID1 starts stickyd as a container would: as process 1 of a namespace.
func startAsPID1(t *testing.T, command []string, flags ...string) *server {
	t.Helper()
	return startInContainer(t, "true", command, flags...)
}

// startInContainer does the same when prepare, a shell's line, has changed what
// is mounted.
func startInContainer(t *testing.T, prepare string, command []string, flags ...string) *server {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("STICKYD_BIN") != "" { // scripts/test runs as root
			t.Fatal("no root here, so no namespaces")
		}
		t.Skip("no root here, so no namespaces")
	}
	args := []string{"-c", "mount -t proc proc /proc && " + prepare + ` && exec "$@"`, "sh", binary,
		"--poller", *poller, "--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"}
	cmd := exec.Command("sh", append(append(append(args, flags...), "--"), command...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	s := launchCommand(t, cmd)
	s.addr = s.await("listening", nil).str("addr")
	return s
}

// A child is a process of another's, seen from out here.
type child struct {
	pid   int
	name  string
	state byte
}

func childrenOf(t *testing.T, parent int) (all []child) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		var c child
		var of int
		c.name = string(stat[open+1 : end])
		fmt.Sscanf(string(stat[end+2:]), "%c %d", &c.state, &of)
		if c.pid, _ = strconv.Atoi(strings.TrimSpace(string(stat[:open]))); of == parent {
			all = append(all, c)
		}
	}
	return all
}

// Process 1 gets a thousand orphans, many of them while its workers die, and
// reaps them all without taking the exit status of one of its own.
func TestProcess1ReapsOrphansAndLosesNoExitStatus(t *testing.T) {
	const slots, lives, orphans = 4, 12, 1000
	s := startAsPID1(t, worker("leaves-orphans"), "--workers", strconv.Itoa(slots))
	s.awaitN(lives/2, "worker died", nil)
	var guardian child
	for _, c := range childrenOf(t, s.cmd.Process.Pid) {
		if c.name == "sticky-guardian" {
			guardian = c
		}
	}
	if guardian.pid == 0 {
		t.Fatal("no guardian")
	}
	syscall.Kill(guardian.pid, syscall.SIGKILL)
	if e := s.await("guardian process died, starting another", nil); e.str("exit") != "signal: killed" {
		t.Error("the guardian's end is known as ", e.str("exit"))
	}
	for _, e := range s.awaitN(lives, "worker died", nil) {
		if want := fmt.Sprint("exit status ", orphanage(e.num("pid"))); e.str("exit") != want {
			t.Errorf("worker %d died with %q, says the log; it was %s", e.num("pid"), e.str("exit"), want)
		}
	}
	eventually(t, "a thousand orphans", func() bool {
		n := 0
		reaped, _ := s.find("reaped processes that had lost their parent", nil)
		for _, e := range reaped {
			n += e.num("processes")
		}
		return n >= orphans
	})
	eventually(t, "an end of all zombies", func() bool {
		for _, c := range childrenOf(t, s.cmd.Process.Pid) {
			if c.state == 'Z' {
				return false
			}
		}
		return true
	})
}

// The kernel keeps from process 1 each signal for which it has no handler.
func TestProcess1StopsOnSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			s := startAsPID1(t, worker("app"), "--workers", "1")
			s.await("worker ready", nil)
			s.signal(sig)
			if status := s.wait(); status != 0 {
				t.Error("exit status ", status)
			}
		})
	}
}

// Nobody in a container outlives its process 1, so not the workers either.
func TestWorkersEndWithProcess1(t *testing.T) {
	s := startAsPID1(t, worker("stubborn"), "--workers", "2")
	s.awaitN(2, "worker output", nil)
	all := childrenOf(t, s.cmd.Process.Pid)
	if len(all) != 3 { // with the guardian
		t.Errorf("children %+v", all)
	}
	s.signal(syscall.SIGKILL)
	s.wait()
	for _, c := range all {
		if err := syscall.Kill(c.pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%+v is still there (%v)", c, err)
		}
	}
}
