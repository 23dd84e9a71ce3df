package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What a worker that was asked to end has left behind is waited for, by whoever
// has taken over as well.
func TestSupervisionIsFrozenWhileAWorkersChildIsWaitedFor(t *testing.T) {
	until := filepath.Join(t.TempDir(), "until")
	t.Setenv("CHILD_UNTIL", until)
	r := newRelay(t, 2, func(int, string) {})
	use(r.now, "leaves-child")
	for n := 1; n <= 2; n++ { // the first two are of another kind
		if err := r.now.Restart(Rollout{Slots: []int{n}, MaxUnready: -1}, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	before := pids(r.now)
	left := r.now.holder(1)
	left.order(leave)
	eventually(t, "a worker whose process has ended", func() bool {
		now := left.status.Load()
		return now.State == stopping.String() && hasExited(before[1])
	})
	for range 3 {
		r.pass()
	}
	if now := r.now.Status()[0]; now.PID != before[1] || now.State != stopping.String() {
		t.Fatalf("it is %+v", now)
	}
	if err := os.WriteFile(until, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return len(r.now.Status()) == 1 })
	if ends := r.now.Ends()[1]; ends["stopped"] == 0 || ends["signal"] != 0 {
		t.Errorf("workers of slot 1 ended %v", ends)
	}
	r.stop()
}

// A process is held, once it has exited, until it is let go or given away.
func TestProcessIsHeld(t *testing.T) {
	start := func() *process {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return newProcess(cmd.Process)
	}
	first := start()
	if !first.await() {
		t.Fatal("interrupted")
	}
	held := make(chan bool)
	go func() { held <- first.hold() }()
	first.interrupt()
	if <-held {
		t.Error("it was let go, says one who was interrupted")
	}
	first.drop()
	again := adopt(first.pid)
	if !again.await() {
		t.Fatal("interrupted")
	}
	again.letGo()
	if !again.hold() {
		t.Error("it is held still")
	}
	again.reap()
	if !again.state.Success() {
		t.Error(again.state)
	}
}

// How a process ended that outlived the leader of its group is known, if it came to us.
func TestLastOfAGroupIsKnown(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	cmd := exec.Command("sh", "-c", `exec 3<&0; sh -c "read line <&3; exit 7" & exit 0`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = r
	if err := StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	r.Close()
	p := newProcess(cmd.Process)
	p.await()
	offspring.leftAlone(p.pid)
	if last := offspring.lastOf(p.pid); last != nil {
		t.Errorf("it ended already: %v", last.ExitStatus())
	}
	w.Close()
	eventually(t, "the exit status of the other", func() bool {
		last := offspring.lastOf(p.pid)
		return last != nil && last.ExitStatus() == 7
	})
	p.reap()
	if last := offspring.lastOf(p.pid); last != nil {
		t.Error("it is remembered for ever")
	}
}

// A replacement does not wait for what the dead worker has left.
func TestStrayIsKilledWithItsWorker(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	before := s.Status()[0]
	stray := startMarked(t, mark{s.instance, before.Incarnation}, []string{}, &syscall.SysProcAttr{Setsid: true})
	syscall.Kill(before.PID, syscall.SIGKILL)
	eventually(t, "the end of the stray", func() bool { return hasExited(stray.pid) })
	eventually(t, "a replacement", func() bool { now := s.Status()[0]; return now.State == "ready" && now.PID != before.PID })
}
