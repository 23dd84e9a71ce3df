package supervisor

import (
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGuardianFollowsWhatItIsTold(t *testing.T) {
	w := follow(strings.NewReader("= K=mark\n+ 10\n+ 11\n- 10\nnonsense\n+ 1\n+ -7\n+ 12\n"))
	if len(w.groups) != 2 || !w.groups[11] || !w.groups[12] {
		t.Error("groups", w.groups)
	}
	if w.mark != "K=mark" || w.released {
		t.Errorf("mark %q, released %v", w.mark, w.released)
	}
	if !follow(strings.NewReader("+ 10\n.\n")).released {
		t.Error("it is not released")
	}
}

// started starts a process that waits for the end of its input.
func started(t *testing.T, env string, attr *syscall.SysProcAttr) (pid int) {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestStraysAreFoundByTheirMark(t *testing.T) {
	const mark = "STICKYD_INSTANCE=one"
	stray := started(t, mark, &syscall.SysProcAttr{Setpgid: true})
	started(t, mark, &syscall.SysProcAttr{Setsid: true})
	started(t, mark+"more", &syscall.SysProcAttr{Setpgid: true})
	started(t, "OTHER=one", &syscall.SysProcAttr{Setpgid: true})
	if got := groupsMarked(mark); !slices.Equal(got, []int{stray}) {
		t.Errorf("groups %v, want %d alone", got, stray)
	}
}

// A guardian that there is no descriptor to take along for must not take the
// exec for our death: it would end the workers.
func TestGuardianThatCannotBeTakenAlongIsReleased(t *testing.T) {
	g, err := startGuardian([]string{os.Args[0], "play-guardian"}, "K=mark", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	worker := started(t, "K=other", &syscall.SysProcAttr{Setpgid: true})
	g.add(worker)
	var state GuardianState
	withoutDescriptors(t, func() { state = g.freeze() })
	if state.PID <= 1 {
		t.Fatalf("%+v", state)
	}
	p, err := adopt(state.PID)
	if err != nil {
		t.Fatal(err)
	}
	p.await()
	p.reap()
	if state.FD != -1 || p.state == nil || !p.state.Success() {
		t.Errorf("%+v ended with %v", state, p.state)
	}
	if err := syscall.Kill(worker, 0); err != nil || hasExited(worker) {
		t.Error("the worker was ended")
	}
}

// hasExited reports whether a child has exited.
func hasExited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err != nil || info.Signo != 0
}
