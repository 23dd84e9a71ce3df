package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// deadline is how long anything may take before a test gives up. It is no
// measure of anything: machines are slow and shared.
const deadline = 60 * time.Second

// binary is the stickyd under test.
var binary string

// poller is the --poller of each stickyd.
var poller = flag.String("poller", "auto", "how stickyd waits for clients and workers: auto or runtime")

// workerArg makes the test binary a worker; the next argument says of what kind.
const workerArg = "play-worker"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == workerArg {
		playWorker(os.Args[2])
		return
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "stickyd-e2e-")
	if err != nil {
		log.Fatal(err)
	}
	binary = filepath.Join(dir, "stickyd")
	if err := goBuild(binary, "../.."); err != nil {
		log.Fatal(err)
	}
	// Programs built with -race sleep for a second before they exit.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// goBuild builds the program whose package is in that directory.
func goBuild(program, dir string) error {
	args := slices.Concat([]string{"build"}, buildFlags, []string{"-o", program, dir})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", dir, err, out)
	}
	return nil
}

// build builds a program for one test.
func build(t *testing.T, dir string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), filepath.Base(dir))
	if err := goBuild(program, dir); err != nil {
		t.Fatal(err)
	}
	return program
}

// worker returns the command of a worker of that kind.
func worker(kind string, args ...string) []string {
	return append([]string{os.Args[0], workerArg, kind}, args...)
}

// A server is a running stickyd.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string // of its first listener

	mu     sync.Mutex
	lines  []string // everything that it wrote
	events []event  // of its log
	grown  chan struct{}

	exited chan struct{}
}

// lastWords is how long is waited for what a stickyd that has exited said.
const lastWords = time.Second

// An event is a line of the log.
type event map[string]any

func (e event) msg() string           { s, _ := e["msg"].(string); return s }
func (e event) num(key string) int    { f, _ := e[key].(float64); return int(f) }
func (e event) str(key string) string { s, _ := e[key].(string); return s }

// launch starts stickyd with these arguments and does not wait for anything.
func launch(t *testing.T, args ...string) *server {
	t.Helper()
	if *poller != "auto" { // of start's and the like, which begin with flags
		args = append([]string{"--poller", *poller}, args...)
	}
	return launchCommand(t, exec.Command(binary, args...))
}

func launchCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, grown: make(chan struct{}), exited: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if cmd.Stdout == nil {
		cmd.Stdout = w
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	said := make(chan struct{})
	go func() {
		s.read(r)
		close(said)
	}()
	go func() {
		cmd.Wait()
		select {
		case <-said:
		case <-time.After(lastWords): // somebody else has its stderr open
		}
		close(s.exited)
	}()
	t.Cleanup(func() { s.cleanUp(r) })
	return s
}

// start starts stickyd with three things that every test wants, the flags, and
// the worker's command, and waits until it listens.
func start(t *testing.T, command []string, flags ...string) *server {
	t.Helper()
	args := append([]string{"--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"}, flags...)
	s := launch(t, append(append(args, "--"), command...)...)
	s.addr = s.await("listening", nil).str("addr")
	return s
}

// startReady waits for n ready workers as well and returns their pids by slot.
func startReady(t *testing.T, n int, command []string, flags ...string) (*server, map[int]int) {
	t.Helper()
	s := start(t, command, append(flags, "--workers", strconv.Itoa(n))...)
	pids := make(map[int]int)
	for slot := 1; slot <= n; slot++ {
		pids[slot] = s.await("worker ready", func(e event) bool { return e.num("slot") == slot }).num("pid")
	}
	return s, pids
}

func (s *server) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // a worker's longest line, as JSON
	for lines.Scan() {
		var e event
		json.Unmarshal(lines.Bytes(), &e)
		s.mu.Lock()
		s.lines = append(s.lines, lines.Text())
		if e != nil {
			s.events = append(s.events, e)
		}
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
	}
}

// find returns the events with that message that ok accepts, so far, and a
// channel that is closed when there is more.
func (s *server) find(msg string, ok func(event) bool) (found []event, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.msg() == msg && (ok == nil || ok(e)) {
			found = append(found, e)
		}
	}
	return found, s.grown
}

// await waits for an event and returns the first.
func (s *server) await(msg string, ok func(event) bool) event {
	s.t.Helper()
	return s.awaitN(1, msg, ok)[0]
}

func (s *server) awaitN(n int, msg string, ok func(event) bool) []event {
	s.t.Helper()
	late := time.After(deadline)
	for {
		found, more := s.find(msg, ok)
		if len(found) >= n {
			return found
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("the log never said %q; it said:\n%s", msg, s.output())
		}
	}
}

// awaitText waits for output that matches a pattern and returns its first
// group.
func (s *server) awaitText(pattern string) string {
	s.t.Helper()
	p := regexp.MustCompile(pattern)
	late := time.After(deadline)
	for {
		_, more := s.find("", nil)
		if found := p.FindStringSubmatch(s.output()); found != nil {
			return found[1]
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("no output matches %s:\n%s", pattern, s.output())
		}
	}
}

// output returns everything that was written, for messages.
func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// signal reaches the whole process group where the command has one of its own,
// as ^C in a terminal does.
func (s *server) signal(sig syscall.Signal) {
	pid := s.cmd.Process.Pid
	if attr := s.cmd.SysProcAttr; attr != nil && attr.Setpgid {
		pid = -pid
	}
	syscall.Kill(pid, sig)
}

// wait returns the exit status.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(deadline):
		s.t.Fatalf("stickyd did not end; it said:\n%s", s.output())
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *server) cleanUp(r *os.File) {
	select {
	case <-s.exited:
	default:
		s.signal(syscall.SIGTERM)
		if status := s.wait(); status != 0 {
			s.t.Errorf("stopping stickyd: exit status %d", status)
		}
	}
	r.SetReadDeadline(time.Now()) // a worker may outlive it
	if strings.Contains(s.output(), "DATA RACE") {
		s.t.Error("stickyd has a data race")
	}
	if s.t.Failed() {
		out := s.output()
		s.t.Logf("stickyd said (the last of %d bytes):\n%s", len(out), out[max(0, len(out)-4000):])
	}
}

// eventually waits until ok returns true; it is for what sends no event, such
// as the end of a process that is not ours.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(deadline)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("this never came: ", what)
		}
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return len(rest) > 0 && rest[0] != 'Z'
}

// freeze stops a process; it returns when none of its threads runs any more.
func freeze(t *testing.T, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	eventually(t, "a stopped process", func() bool {
		stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, stat := range stats {
			text, _ := os.ReadFile(stat)
			if _, rest, found := bytes.Cut(text, []byte(") ")); found && rest[0] != 'T' {
				return false
			}
		}
		return true
	})
}

// startWithLimit starts stickyd with so many descriptors, its workers as well.
func startWithLimit(t *testing.T, nofile int, command []string, flags ...string) *server {
	t.Helper()
	args := []string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, nofile), "sh", binary, "--poller", *poller, "--listen", "127.0.0.1:0", "--log-format", "json"}
	args = append(append(append(args, flags...), "--"), command...)
	s := launchCommand(t, exec.Command("sh", args...))
	s.addr = s.await("listening", nil).str("addr")
	return s
}
