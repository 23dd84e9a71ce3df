package supervisor

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
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
