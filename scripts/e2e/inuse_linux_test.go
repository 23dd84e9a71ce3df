package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Who wants a port that another stickyd has is told which, and what to type; and
// that does what it says, wherever the other one has its control socket.
func TestPortOfAnotherStickyd(t *testing.T) {
	s, _, control := controlled(t, 1, worker("app"), "--metrics", "127.0.0.1:0")
	pid := strconv.Itoa(s.cmd.Process.Pid)
	metrics := s.await("metrics", nil).str("addr")
	shows := fmt.Sprintf("another stickyd (pid %[1]s): stickyd status --control %[1]s shows it, stickyd stop --control %[1]s stops it", pid)
	for flags, want := range map[string]string{
		"-l " + s.addr: "cannot listen on " + s.addr + ": address already in use by " + shows + "; or choose another with --listen",
		"-l 127.0.0.1:0 --metrics " + metrics: "cannot serve metrics on " + metrics + ": address already in use by " + shows +
			"; or choose another with --metrics",
		"-l 127.0.0.1:0 --control " + control: "cannot open the control socket " + control + ": address already in use by " + shows +
			"; or choose another with --control",
	} {
		args := append(append(strings.Fields(flags), "--"), worker("app")...)
		if status, _, errs := say(t, args...); status != 1 || !strings.Contains(errs, "stickyd: "+want+"\n") {
			t.Errorf("%s: exit status %d, %s; want %s", flags, status, errs, want)
		}
	}
	typed := regexp.MustCompile(`stickyd (status|stop) (--control) (\d+)`).FindAllStringSubmatch(shows, -1)
	for _, words := range typed {
		if status, out, errs := say(t, words[1:]...); status != 0 || !strings.Contains(out, "stop") && !strings.Contains(out, "pid "+pid) {
			t.Errorf("%s: exit status %d, %s, %s", words[0], status, out, errs)
		}
	}
	if len(typed) != 2 || s.wait() != 0 {
		t.Error("it was not stopped")
	}
}

// One stickyd can't listen twice at a port, and is not told to stop somebody else.
func TestPortOfItsOwn(t *testing.T) {
	s := start(t, worker("app"))
	_, port, _ := strings.Cut(s.addr, ":")
	s.signal(syscall.SIGTERM)
	s.wait()
	args := append([]string{"-l", "127.0.0.1:" + port, "-l", ":" + port, "--"}, worker("app")...)
	if status, _, errs := say(t, args...); status != 1 || !strings.Contains(errs, "stickyd itself listens there already") {
		t.Errorf("exit status %d, %s", status, errs)
	}
}
