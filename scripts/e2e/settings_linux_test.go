package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// procText returns a file of a process, of this namespace.
func procText(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// hasLine checks that a line of text matches a pattern from its start to its
// end, where a space is any white space.
func hasLine(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)^` + strings.ReplaceAll(pattern, " ", `\s+`) + `\s*$`).MatchString(text) {
		t.Errorf("no line matches %q in\n%s", pattern, text)
	}
}

// forAll copies this program to where every user may execute it: a worker's
// command. stickyd itself stays where only root can read it.
func forAll(t *testing.T) (program string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "stickyd-e2e-all-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program = filepath.Join(dir, "worker")
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(program)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, program} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return program
}

func TestWorkersRunAsTheUserThatWasAskedFor(t *testing.T) {
	db := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:4711:4712:App:/srv/app:/bin/sh\n",
		"group":  "root:x:0:\napp:x:4712:\nextra:x:4713:app\nother:x:4714:\n",
	} {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	prepare := fmt.Sprintf("mount --bind %s/passwd /etc/passwd && mount --bind %s/group /etc/group", db, db)
	program := forAll(t)
	for _, tt := range []struct {
		name          string
		flags         []string
		uid, gid      int
		groups        string
		home, logname string
	}{
		{"by name", []string{"--user", "app"}, 4711, 4712, "4712 4713", "/srv/app", "app"},
		{"by number", []string{"--user", "4711"}, 4711, 4712, "4712 4713", "/srv/app", "app"},
		{"in another group", []string{"--user", "app", "--group", "other"}, 4711, 4714, "4712 4713 4714", "/srv/app", "app"},
		{"in a group alone", []string{"--group", "4712"}, 0, 4712, "4712", "/root", "root"},
		{"whom nobody knows", []string{"--user", "4800", "--group", "4801"}, 4800, 4801, "4801", "/", "4800"},
		{"with a home of its own", []string{"--user", "app", "--env", "HOME=/elsewhere"}, 4711, 4712, "4712 4713", "/elsewhere", "app"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HOME", "/root")
			t.Setenv("LOGNAME", "root")
			s := startInContainer(t, prepare, []string{program, workerArg, "app"}, append(tt.flags, "--workers", "1")...)
			s.await("worker ready", nil)
			pid := 0
			for _, c := range childrenOf(t, s.cmd.Process.Pid) {
				if c.name == "worker" {
					pid = c.pid
				}
			}
			status := procText(t, pid, "status")
			hasLine(t, status, fmt.Sprintf("Uid: %[1]d %[1]d %[1]d %[1]d", tt.uid))
			hasLine(t, status, fmt.Sprintf("Gid: %[1]d %[1]d %[1]d %[1]d", tt.gid))
			hasLine(t, status, "Groups: "+tt.groups)
			if tt.uid != 0 {
				hasLine(t, status, "CapPrm: 0+")
			}
			env := strings.ReplaceAll(procText(t, pid, "environ"), "\x00", "\n")
			hasLine(t, env, "HOME="+tt.home)
			hasLine(t, env, "LOGNAME="+tt.logname)
			r := s.mustGet("/handshake")
			s.mustGet("/use?sid=" + r.SID)
		})
	}
}

func TestUserThatMayNotExecuteTheCommandIsTold(t *testing.T) {
	program := forAll(t)
	if err := os.Chmod(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	s := startInContainer(t, "true", []string{program}, "--user", "4800", "--group", "4801")
	if status := s.wait(); status != 1 || !strings.Contains(s.output(), "may this user execute it") {
		t.Errorf("exit status %d: %s", status, s.output())
	}
}

func TestWorkersGetTheLimitsThatWereAskedFor(t *testing.T) {
	const files = "Max open files"
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	own := 20 - raw // getpriority(2)
	for _, tt := range []struct {
		name     string
		started  string // limits of stickyd
		flags    []string
		want     string
		niceness int
	}{
		{"none", "ulimit -Sn 300; ulimit -Hn 400", nil, "300 400", 0},
		{"files", "ulimit -Sn 300; ulimit -Hn 400", []string{"--worker-nofile", "350"}, "350 350", 0},
		{"niceness", "ulimit -Sn 300; ulimit -Hn 400", []string{"--worker-nice", "3"}, "300 400", 3},
		{"both", "ulimit -Sn 300", []string{"--worker-nofile", "200", "--worker-nice", "19"}, "200 200", 19},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-c", tt.started + `; exec "$@"`, "sh", binary, "--poller", *poller,
				"--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug", "--workers", "1"}, tt.flags...)
			s := launchCommand(t, exec.Command("sh", append(args, "--", "sleep", "600")...)) // unlike a Go program it leaves its limits alone
			pid := s.await("worker started", nil).num("pid")
			hasLine(t, procText(t, pid, "limits"), files+" "+tt.want+" files")
			stat := procText(t, pid, "stat")
			const nice = 16 // from the third field on
			if got := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])[nice]; got != strconv.Itoa(min(own+tt.niceness, 19)) {
				t.Errorf("niceness %s, want %d more than %d", got, tt.niceness, own)
			}
			fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, fd := range fds {
				if file, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); fd.Name() == "4" && strings.HasPrefix(file, "pipe:") {
					t.Error("the worker has the launcher's report")
				}
			}
		})
	}
}
