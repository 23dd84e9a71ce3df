package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
	"github.com/stickyd/stickyd/supervisor/terminal/terminaltest"
)

// A screen is what a program has shown on a terminal of 80 columns.
type screen struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	text string
	more chan struct{}
}

// onScreen runs stickyd on a terminal until the test ends.
func onScreen(t *testing.T, env []string, args ...string) *screen {
	t.Helper()
	master, tty := terminaltest.Open(t, 80, 24)
	s := &screen{t: t, cmd: exec.Command(binary, args...), more: make(chan struct{})}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Env = append(append(s.cmd.Environ(), "TERM=xterm", "NO_COLOR="), env...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for read := bufio.NewReader(master); ; {
			line, err := read.ReadString('\n')
			if err != nil {
				return
			}
			s.mu.Lock()
			s.text += strings.ReplaceAll(line, "\r\n", "\n")
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
	})
	return s
}

// await returns what is shown once that matches a pattern.
func (s *screen) await(pattern string) string {
	s.t.Helper()
	late := time.After(deadline)
	for p := regexp.MustCompile(pattern); ; {
		s.mu.Lock()
		text, more := s.text, s.more
		s.mu.Unlock()
		if p.MatchString(text) {
			return text
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("nothing matches %s: %q", pattern, text)
		}
	}
}

var style = regexp.MustCompile("\x1b\\[[0-9;]*m")

// On a terminal the log fits it, is coloured where that is wanted, says what to
// open, and lets nothing that workers print act on it.
func TestLogOnATerminal(t *testing.T) {
	command := append([]string{"sh", "-c", `printf '\033[31mred \033]0;title\a\302\2332J\n'; exec "$@"`, "sh"}, worker("app")...)
	args := append([]string{"-n", "1", "-l", "127.0.0.1:0", "--control", "off", "--"}, command...)
	for _, noColor := range []string{"", "1"} {
		s := onScreen(t, []string{"NO_COLOR=" + noColor}, args...)
		s.await(`worker ready`)
		s.cmd.Process.Signal(syscall.SIGTERM)
		text := s.await(`stopped`)
		plain := style.ReplaceAllString(text, "")
		if coloured := strings.Contains(text, "\x1b[2m"); coloured != (noColor == "") {
			t.Errorf("NO_COLOR=%s: %q", noColor, text)
		}
		if terminal.Visible(plain) != plain || !strings.Contains(plain, "[1] red "+`\x1b]0;title\x07\u009b2J`+"\n") {
			t.Errorf("the terminal gets %q", text)
		}
		if keeps := strings.Contains(text, "[1] \x1b[31mred"); keeps != (noColor == "") {
			t.Errorf("NO_COLOR=%s: the worker's colours are there: %v", noColor, keeps)
		}
		if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d listening addr=127\.0\.0\.1:\d+ url=http://127\.0\.0\.1:\d+$`).MatchString(plain) {
			t.Errorf("there is no address to open: %s", plain)
		}
		for line := range strings.SplitSeq(plain, "\n") {
			if terminal.Width(line) > 80 {
				t.Errorf("wider than the terminal: %s", line)
			}
		}
	}
}

// Nor does what else is shown: errors, and what commands say of a stickyd that
// runs.
func TestErrorsOnATerminal(t *testing.T) {
	evil := "\x1b]0;title\a\u202e"
	s := onScreen(t, nil, "--listen", "127.0.0.1:0", "--watch", "/nowhere/"+evil, "--", "true")
	if text := s.await(`cannot watch`); terminal.Visible(text) != text {
		t.Errorf("the terminal gets %q", text)
	}
	dying := append([]string{"-n", "1", "-l", "127.0.0.1:0", "--control", "off", "--", "sh", "-c"}, `printf '\033]0;title\a\n'; exit 1`)
	s = onScreen(t, []string{"NO_COLOR=1"}, dying...)
	if text := s.await(`no worker has become ready`); terminal.Visible(text) != text {
		t.Errorf("the terminal gets %q", text)
	}
	_, _, control := controlled(t, 1, []string{"sh", "-c", `printf '\033]0;title\a\n'; exec "$@"`, "sh", os.Args[0], workerArg, "app"})
	s = onScreen(t, []string{"NO_COLOR=1"}, "logs", "--control", control)
	if text := s.await(`title`); text != `[1] \x1b]0;title\x07`+"\n" {
		t.Errorf("the terminal gets %q", text)
	}
	if _, text := ask(t, "logs", control); text != "[1] \x1b]0;title\a\n" {
		t.Errorf("a pipe gets %q", text)
	}
}
