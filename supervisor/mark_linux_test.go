package supervisor

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMarkIsReadAsItWasWritten(t *testing.T) {
	for _, m := range []mark{{2, 1}, {1<<instanceBits - 1, 1<<32 - 1}, {0x2adbeef, 17}} {
		if got := markOfLimit(m.limit()); got != m {
			t.Errorf("%+v is %+v after the limit %d", m, got, m.limit())
		}
		_, value, _ := strings.Cut(m.env(), "=")
		if got := markOfEnv(value); got != m {
			t.Errorf("%+v is %+v after %q", m, got, value)
		}
	}
	for _, limit := range []uint64{0, 1, 1 << 20, 1 << 61, 1 << 63, unix.RLIM_INFINITY} {
		if m := markOfLimit(limit); m != (mark{}) {
			t.Errorf("the limit %d is the mark %+v", limit, m)
		}
	}
	for _, value := range []string{"", "one", "-1", "12"} {
		if m := markOfEnv(value); m != (mark{}) {
			t.Errorf("%q is the mark %+v", value, m)
		}
	}
}

// startMarked starts a process with the mark, which ends with its input.
func startMarked(t *testing.T, m mark, env []string, attr *syscall.SysProcAttr) proc {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.Env, cmd.SysProcAttr = env, attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := offspring.startMarked(cmd, m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		WaitChild(cmd)
	})
	p, ok := procOf(cmd.Process.Pid)
	if !ok {
		t.Fatal("it is not there")
	}
	return p
}

func TestMarkIsFoundInEitherPlace(t *testing.T) {
	m := mark{4711, 3}
	for name, p := range map[string]proc{
		"both":                  startMarked(t, m, []string{"A=b", m.env()}, nil),
		"the limit alone":       startMarked(t, m, []string{"A=b"}, nil), // as nginx has it, which writes its title over the rest
		"the environment alone": startMarked(t, mark{}, []string{"A=b", m.env()}, nil),
	} {
		if got := markOf(p.pid); got != m {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := markOf(startMarked(t, mark{}, []string{}, nil).pid); got != (mark{}) {
		t.Errorf("a process without one has %+v", got)
	}
	var own unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &own); err != nil || markOfLimit(own.Cur) == m {
		t.Errorf("it is ours now: %+v, %v", own, err)
	}
}

// What a worker starts cannot lose it by accident.
func TestMarkOutlivesDaemonizing(t *testing.T) {
	m := mark{4712, 1}
	cmd := exec.Command("sh", "-c", `exec env -i setsid sh -c '(setsid sleep 300 & echo $!)'`)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), m.env()}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w // a pipe of os/exec's would be waited for
	if err := offspring.startMarked(cmd, m); err != nil {
		t.Fatal(err)
	}
	w.Close()
	line := make([]byte, 20)
	n, err := r.Read(line)
	r.Close()
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil || convErr != nil {
		t.Fatal(err, convErr)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if err := WaitChild(cmd); err != nil {
		t.Fatal(err)
	}
	if got := markOf(pid); got != m {
		t.Errorf("%+v, want %+v", got, m)
	}
}

func TestStraysAreFound(t *testing.T) {
	const instance = 4713
	m := mark{instance, 1}
	led := startMarked(t, m, []string{}, &syscall.SysProcAttr{Setpgid: true})
	stray := startMarked(t, m, []string{}, &syscall.SysProcAttr{Setsid: true})
	other := startMarked(t, mark{instance + 1, 1}, []string{}, &syscall.SysProcAttr{Setsid: true})
	foreign := startMarked(t, mark{}, []string{}, &syscall.SysProcAttr{Setsid: true})
	w := &ward{instance: instance, groups: map[int]bool{led.pid: true}}
	var got []int
	for _, p := range w.strays() {
		got = append(got, p.pid)
	}
	if !slices.Equal(got, []int{stray.pid}) {
		t.Errorf("strays %v, want %d; %d is in a group, %d another's, %d nobody's", got, stray.pid, led.pid, other.pid, foreign.pid)
	}
}

// A descendant that has lost both marks is found by its parent.
func TestDescendantsAreFound(t *testing.T) {
	all := []proc{
		{pid: 10, parent: 1, group: 10}, {pid: 11, parent: 12, group: 11}, {pid: 12, parent: 10, group: 12, zombie: true},
		{pid: 13, parent: 11, group: 13}, {pid: 14, parent: 1, group: 14},
	}
	var got []int
	for _, p := range withDescendants(all, func(p proc) bool { return p.group == 10 }) {
		got = append(got, p.pid)
	}
	if !slices.Equal(got, []int{10, 11, 13}) {
		t.Error(got)
	}
}

func TestSignalReachesNobodyElse(t *testing.T) {
	p := startMarked(t, mark{}, nil, nil)
	other := p
	other.started-- // it had that number before
	if err := other.signal(unix.SIGKILL); err != unix.ESRCH {
		t.Error("a process that is gone: ", err)
	}
	if err := p.signal(0); err != nil {
		t.Error("who has its number now: ", err)
	}
}
