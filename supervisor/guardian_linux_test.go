package supervisor

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestGuardianFollowsWhatItIsTold(t *testing.T) {
	w := follow(strings.NewReader("= 4711\n+ 10\n+ 11\n- 10\nnonsense\n+ 1\n+ -7\n+ 12\n"))
	if len(w.groups) != 2 || !w.groups[11] || !w.groups[12] {
		t.Error("groups", w.groups)
	}
	if w.instance != 4711 || w.released {
		t.Errorf("instance %d, released %v", w.instance, w.released)
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

// A guardian that there is no descriptor to take along for must not take the
// exec for our death: it would end the workers.
func TestGuardianThatCannotBeTakenAlongIsReleased(t *testing.T) {
	g := newGuardian([]string{os.Args[0], "play-guardian"}, 4711, slog.New(slog.DiscardHandler))
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	worker := started(t, "K=other", &syscall.SysProcAttr{Setpgid: true})
	g.add(worker)
	var state GuardianState
	withoutDescriptors(t, func() { state = g.freeze() })
	if state.PID <= 1 {
		t.Fatalf("%+v", state)
	}
	p := adopt(state.PID)
	p.await()
	p.reap()
	if state.FD != -1 || p.state == nil || !p.state.Success() {
		t.Errorf("%+v ended with %v", state, p.state)
	}
	if err := syscall.Kill(worker, 0); err != nil || hasExited(worker) {
		t.Error("the worker was ended")
	}
}

// Who waits for one that was let go, and that somebody has stopped, does not do so
// for ever: not in the end, and not in the upgrade after the one that relieved it.
func TestGuardianThatIsStoppedLeaves(t *testing.T) {
	stopped := func(g *guardian) *guardian {
		t.Helper()
		if err := syscall.Kill(g.charged.process.pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		return g
	}
	log := slog.New(slog.DiscardHandler)
	argv := []string{os.Args[0], "play-guardian"}
	first := newGuardian(argv, 4711, log)
	if err := first.start(); err != nil {
		t.Fatal(err)
	}
	second := newGuardian(argv, 4711, log)
	second.resume(stopped(first).freeze())
	third := newGuardian(argv, 4711, log)
	third.resume(second.freeze())
	stopped(third).close()
}

// A scribe is a guardian that writes down what it is told; its program can be
// taken away, so that none can be started.
type scribe struct {
	t    *testing.T
	dir  string
	next chan time.Time // what goes in ends a pause of who seeks one
}

func newScribe(t *testing.T) *scribe {
	return &scribe{t: t, dir: t.TempDir(), next: make(chan time.Time)}
}

// guardian is one that writes into a file of that name.
func (s *scribe) guardian(name string) *guardian {
	g := newGuardian([]string{filepath.Join(s.dir, "sh"), "-c", "exec cat >>" + filepath.Join(s.dir, name)}, 4711, slog.New(slog.DiscardHandler))
	g.after = func(time.Duration) <-chan time.Time { return s.next }
	return g
}

func (s *scribe) allow() {
	s.t.Helper()
	if err := os.Symlink("/bin/sh", filepath.Join(s.dir, "sh")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scribe) forbid() {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "sh")); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until the guardian of that name has been told that, and no more.
func (s *scribe) await(name, want string) {
	s.t.Helper()
	var got []byte
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, _ = os.ReadFile(filepath.Join(s.dir, name)); string(got) == want {
			return
		}
	}
	s.t.Fatalf("guardian %q was told %q, want %q", name, got, want)
}

// Where no guardian can be started after an upgrade, the old one stays in charge,
// over further upgrades, too, until one can.
func TestOldGuardianStaysUntilThereIsAnother(t *testing.T) {
	s := newScribe(t)
	s.allow()
	g := s.guardian("first")
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	g.add(1000)
	state := g.freeze()
	s.forbid()
	pid := state.PID
	for range 2 {
		g = s.guardian("second")
		g.add(1000)
		g.resume(state)
		s.next <- time.Now() // in vain
		if state = g.freeze(); state.PID != pid || state.FD < 0 {
			t.Fatalf("%+v is handed on, want %d", state, pid)
		}
	}
	g = s.guardian("second")
	g.add(1000)
	g.resume(state)
	g.add(1001)
	g.remove(1000)
	s.await("first", "= 4711\n+ 1000\n+ 1001\n- 1000\n")
	s.allow()
	s.next <- time.Now()
	s.await("second", "= 4711\n+ 1001\n")
	s.await("first", "= 4711\n+ 1000\n+ 1001\n- 1000\n.\n")
	g.remove(1001)
	s.await("second", "= 4711\n+ 1001\n- 1001\n")
	g.close()
	s.await("second", "= 4711\n+ 1001\n- 1001\n.\n")
}

// One that dies while none can be started is missed, and no more than that.
func TestSupervisionGoesOnWithoutGuardian(t *testing.T) {
	s := newScribe(t)
	s.allow()
	g := s.guardian("first")
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	s.forbid()
	syscall.Kill(g.freeze().PID, syscall.SIGKILL)
	g = s.guardian("second")
	var log record
	g.log = slog.New(slog.NewTextHandler(&log, nil))
	g.resume(GuardianState{FD: -1})
	if !log.has(`msg="cannot start a guardian process, there is none"`) {
		t.Errorf("the log has only %s", &log.text)
	}
	g.add(1000)
	s.next <- time.Now()
	if state := g.freeze(); state != (GuardianState{FD: -1}) {
		t.Errorf("%+v is handed on", state)
	}
	g = s.guardian("second")
	g.add(1000)
	g.resume(GuardianState{FD: -1})
	s.allow()
	s.next <- time.Now()
	s.await("second", "= 4711\n+ 1000\n")
	g.close()
}

// The death of the old one in the meantime is no reason to look for two.
func TestOldGuardianDiesInCharge(t *testing.T) {
	s := newScribe(t)
	s.allow()
	g := s.guardian("first")
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	state := g.freeze()
	s.forbid()
	g = s.guardian("second")
	g.resume(state)
	syscall.Kill(state.PID, syscall.SIGKILL)
	eventually(t, "a death that is noticed", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.charged == nil
	})
	s.allow()
	s.next <- time.Now()
	s.await("second", "= 4711\n")
	g.close()
	s.await("second", "= 4711\n.\n")
}

// hasExited reports whether a child has exited.
func hasExited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err != nil || info.Signo != 0
}
