package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// strayTag makes the command lines of one test's strays its own.
var strayTag atomic.Int64

func newTag() string { return fmt.Sprintf("%d%03d", os.Getpid(), strayTag.Add(1)) }

// straysOf is how many processes a worker of strayer leaves its group with.
const straysOf = 4

// strayer is the command of a worker that leaves processes in sessions of their
// own: a child, an orphan with a child, and one without our environment.
func strayer(tag string) []string {
	script := `d=300.${STICKYD_WORKER}` + tag + `
		setsid sleep $d &
		(setsid sh -c "sleep $d & exec sleep $d" &)
		env -i setsid sleep $d &
		exec "$@"`
	return append([]string{"sh", "-c", script, "sh"}, worker("app")...)
}

// commandLines returns the words of all processes that run, by pid.
func commandLines() map[int][]string {
	all := make(map[int][]string)
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file) // empty for a zombie
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && len(text) > 0 {
			all[pid] = strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		}
	}
	return all
}

func sleepers(duration string) (pids []int) {
	for pid, args := range commandLines() {
		if slices.Equal(args, []string{"sleep", duration}) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// awaitStrays waits for those of a slot's worker that are none of some.
func awaitStrays(t *testing.T, slot int, tag string, not []int) (pids []int) {
	t.Helper()
	eventually(t, fmt.Sprint("the strays of worker ", slot), func() bool {
		pids = slices.DeleteFunc(sleepers(fmt.Sprint("300.", slot, tag)), func(pid int) bool { return slices.Contains(not, pid) })
		return len(pids) == straysOf
	})
	return pids
}

func awaitEnd(t *testing.T, what string, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("the end of %s, process %d", what, pid), func() bool { return !alive(pid) })
	}
}

// Where a process has gone, session and parents included, does not matter. Nobody
// else is touched: not another worker's, and not what whoever started stickyd had
// started in the same process.
func TestWhatAWorkerStartsEndsWithIt(t *testing.T) {
	for name, tt := range map[string]struct{ upgraded, killed bool }{
		"stickyd stops": {false, false}, "stickyd is killed": {false, true},
		"an upgraded one stops": {true, false}, "an upgraded one is killed": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it is the guardian's patience that takes time
			tag, control := newTag(), filepath.Join(socketDir(t), "control.sock")
			args := []string{"-c", `setsid sleep $0 & exec "$@"`, "400." + tag, binary, "--poller", *poller,
				"--listen", "127.0.0.1:0", "--log-format", "json", "--control", control, "-n", "2", "--"}
			s := launchCommand(t, exec.Command("sh", append(args, strayer(tag)...)...))
			t.Cleanup(func() {
				for _, pid := range sleepers("400." + tag) {
					syscall.Kill(pid, syscall.SIGKILL)
				}
			})
			s.awaitN(2, "worker ready", nil)
			if tt.upgraded {
				mustAsk(t, "upgrade", control)
			}
			first, second := awaitStrays(t, 1, tag, nil), awaitStrays(t, 2, tag, nil)
			syscall.Kill(pidsOf(askStatus(t, control))[1], syscall.SIGKILL)
			awaitEnd(t, "a stray of the worker that died", first...)
			first = awaitStrays(t, 1, tag, first) // of its replacement
			if now := sleepers("300.2" + tag); !slices.Equal(now, second) {
				t.Errorf("the other worker's strays are %v, they were %v", now, second)
			}
			if tt.killed {
				s.signal(syscall.SIGKILL)
				s.wait()
				awaitEnd(t, "a stray", append(first, second...)...)
			} else {
				s.signal(syscall.SIGTERM)
				s.wait()
				for _, pid := range append(first, second...) {
					if alive(pid) {
						t.Errorf("process %d is still there", pid)
					}
				}
			}
			if own := sleepers("400." + tag); len(own) != 1 {
				t.Errorf("of what stickyd's environment had started there is %v", own)
			}
		})
	}
}

// An nginxd is a configuration for a real nginx that puts itself into the background.
type nginxd struct{ conf, pidFile string }

func newNginx(t *testing.T) nginxd {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String() // free when it is closed: nginx takes no port 0
	ln.Close()
	dir := t.TempDir()
	n := nginxd{filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "pid")}
	text := fmt.Sprintf("pid %s;\nerror_log %s/error.log;\nworker_processes 2;\nevents {}\nhttp { access_log off; server { listen %s; } }\n", n.pidFile, dir, addr)
	if err := os.WriteFile(n.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// await waits for the master, and returns it and its two workers.
func (n nginxd) await(t *testing.T) (pids []int) {
	t.Helper()
	eventually(t, "nginx", func() bool {
		text, _ := os.ReadFile(n.pidFile)
		master, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || !alive(master) {
			return false
		}
		pids = []int{master}
		for _, c := range childrenOf(t, master) {
			pids = append(pids, c.pid)
		}
		return len(pids) == 3
	})
	return pids
}

// nginx writes its title over its environment, and its master is nobody's child.
func TestNginxEndsWithItsWorker(t *testing.T) {
	for name, end := range map[string]func(*server, int){
		"that dies":                     func(_ *server, pid int) { syscall.Kill(pid, syscall.SIGKILL) },
		"that stickyd stops":            func(s *server, _ int) { s.signal(syscall.SIGTERM) },
		"that is killed, as is stickyd": func(s *server, _ int) { s.signal(syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNginx(t)
			command := append([]string{"sh", "-c", `nginx -c "$0" && exec "$@"`, n.conf}, worker("app")...)
			s, pids := startReady(t, 1, command)
			processes := n.await(t)
			end(s, pids[1])
			awaitEnd(t, "nginx", processes...)
			if name == "that dies" {
				n.await(t) // the replacement's has the port
			}
		})
	}
}

// What puts itself into the background is no worker, and leaves nothing.
func TestCommandThatGoesIntoTheBackgroundIsToldSo(t *testing.T) {
	t.Parallel() // it is ten seconds until stickyd gives up
	n := newNginx(t)
	s := launch(t, "-l", "127.0.0.1:0", "-n", "1", "--log-format", "json", "--", "nginx", "-c", n.conf)
	if e := s.await("worker died", nil); !strings.Contains(e.str("exit"), "exit status 0, leaving nginx (pid ") || !strings.Contains(e.str("hint"), "in the foreground") {
		t.Errorf("%v", e)
	}
	if status := s.wait(); status != 1 || !strings.Contains(s.output(), "daemon off") {
		t.Errorf("exit status %d, and no word of how to run it", status)
	}
	for pid, args := range commandLines() {
		if strings.Contains(strings.Join(args, " "), n.conf) {
			t.Errorf("process %d is left: %q", pid, args)
		}
	}
}

// A stickyd that is another one's worker has a guardian, which must not end with it.
func TestNobodyOutlivesAStickydThatIsAWorker(t *testing.T) {
	t.Parallel()
	inner := append([]string{binary, "--listen", "127.0.0.1:0", "--control", "off", "--log-format", "json", "-n", "1", "--"}, worker("stubborn")...)
	s := start(t, inner, "-n", "1")
	line := s.await("worker output", func(e event) bool { return strings.Contains(e.str("line"), `"msg":"worker ready"`) })
	var ready struct{ PID int }
	if err := json.Unmarshal([]byte(line.str("line")), &ready); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(line.num("pid"), syscall.SIGKILL)
	awaitEnd(t, "the inner stickyd's worker", ready.PID)
}
