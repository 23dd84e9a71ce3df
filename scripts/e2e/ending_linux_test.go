package e2e

import (
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A console is a stickyd on a terminal of its own (script(1)).
type console struct {
	screen *background // shows what it prints
	keys   io.Writer
	door   *server // its clients' side
}

// startOnTerminal starts one with a worker on a terminal of so many columns, and
// waits until it is ready.
func startOnTerminal(t *testing.T, columns string, command []string, flags ...string) *console {
	t.Helper()
	args := append([]string{binary, "--poller", *poller, "-l", "127.0.0.1:0", "-n", "1"}, append(flags, "--")...)
	shell := "export NO_COLOR=1; stty cols " + columns + " rows 24; exec " + strings.Join(append(args, command...), " ")
	cmd := exec.Command("script", "-qec", shell, "/dev/null")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen := runMeanwhile(t, cmd)
	screen.says(" worker ready")
	addr := regexp.MustCompile(`addr=(\S+)`).FindStringSubmatch(screen.output())
	return &console{screen, keys, &server{t: t, addr: addr[1]}}
}

// press types ^C.
func (c *console) press() { io.WriteString(c.keys, "\x03") }

// matches waits until what was printed matches.
func (c *console) matches(pattern string) {
	c.screen.t.Helper()
	p := regexp.MustCompile(pattern)
	eventually(c.screen.t, pattern, func() bool { return p.MatchString(c.screen.output()) || closed(c.screen.end) })
	if !p.MatchString(c.screen.output()) {
		c.screen.t.Fatalf("nothing matches %s: %q", pattern, c.screen.output())
	}
}

// lines returns what is left of the lines on the screen when what was written over
// is gone.
func (c *console) lines() (lines []string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(c.screen.output(), "\r\n"), "\r\n") {
		if i := strings.LastIndex(line, erase); i >= 0 {
			line = line[i+len(erase):]
		}
		lines = append(lines, line)
	}
	return lines
}

// record is how one begins on a terminal; what there is no room for stands below.
var record = regexp.MustCompile(`^\d\d:\d\d:\d\d `)

// erase goes back to the beginning of a line and erases it.
const erase = "\r\x1b[K"

// Who has pressed ^C sees what is waited for, in a line that is written over, and
// that it can be pressed again. Nothing of it is left at the end.
func TestInterruptOnATerminalSaysWhatItWaitsFor(t *testing.T) {
	for _, tt := range []struct {
		columns, says string
		counts        bool
	}{
		{"200", `stopping: waiting for 1 worker with 1 open connection, at most 59m\d+s more; press \^C again to stop now`, true},
		{"80", `stopping: 1 worker, 1 connection, 59m\d+s left; press \^C again to stop now`, true},
		{"30", `stopping: 1 worker, 1 connect`, false}, // there is no room for the time
	} {
		t.Run(tt.columns, func(t *testing.T) {
			t.Parallel()
			c := startOnTerminal(t, tt.columns, worker("app"), "--drain-timeout", "59m", "--stop-timeout", "59s")
			c.door.getMeanwhile("/slow?until=" + filepath.Join(t.TempDir(), "never"))
			c.screen.says("slow request began")
			c.press()
			c.matches(tt.says)
			if tt.counts {
				c.matches(tt.says + regexp.QuoteMeta(erase) + tt.says)
			}
			c.press()
			c.screen.ends(0)
			lines := c.lines()
			for _, line := range lines {
				if regexp.MustCompile(tt.says).MatchString(line) || strings.Contains(line, "worker stopped") && !record.MatchString(line) {
					t.Errorf("a line is %q", line)
				}
			}
			last := slices.IndexFunc(lines, func(line string) bool {
				return strings.Contains(line, " stopped accepted=") && !strings.Contains(line, "worker stopped")
			})
			if last < 0 || slices.ContainsFunc(lines[last+1:], func(line string) bool { return !strings.HasPrefix(line, "    ") }) {
				t.Errorf("at the end it says %q", lines)
			}
		})
	}
}

// Where there is no terminal, a record says it.
func TestLogSaysWhatTheEndWaitsFor(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--drain-timeout", "59m", "--stop-timeout", "59s", "--balance", "round-robin")
	file := filepath.Join(t.TempDir(), "go")
	first, second := s.beginSlow(file), s.beginSlow(filepath.Join(t.TempDir(), "never"))
	s.signal(syscall.SIGTERM)
	e := s.await("stopping: waiting for workers", nil)
	if e.num("workers") != 2 || e.num("sessions") != 0 || e.num("open_connections") != 2 || !strings.HasPrefix(e.str("at_most"), "59m") {
		t.Errorf("%v", e)
	}
	touch(t, file)
	await(t, first)
	e = s.awaitN(2, "stopping: waiting for workers", nil)[1]
	if e.num("workers") != 1 || e.num("open_connections") != 1 {
		t.Errorf("%v", e)
	}
	s.signal(syscall.SIGTERM)
	s.wait()
	await(t, second)
}

// Who says stickyd stop reads the same.
func TestStopCommandSaysWhatItWaitsFor(t *testing.T) {
	s, _, control := controlled(t, 1, worker("app"), "--drain-timeout", "59m", "--stop-timeout", "59s")
	file := filepath.Join(t.TempDir(), "go")
	slow := s.beginSlow(file)
	stop := askMeanwhile(t, "stop", control)
	stop.says("stopping: waiting for 1 worker with 1 open connection, at most 59m")
	touch(t, file)
	await(t, slow)
	stop.ends(0)
	s.wait()
}
