package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stickyd/stickyd/supervisor/admin"
)

// A background command talks to a stickyd meanwhile.
type background struct {
	t   *testing.T
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
	end chan struct{}
}

func (b *background) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *background) output() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func askMeanwhile(t *testing.T, verb, control string, flags ...string) *background {
	t.Helper()
	return runMeanwhile(t, exec.Command(binary, append([]string{verb, "--control", control}, flags...)...))
}

func runMeanwhile(t *testing.T, cmd *exec.Cmd) *background {
	t.Helper()
	b := &background{t: t, cmd: cmd, end: make(chan struct{})}
	b.cmd.Stdout, b.cmd.Stderr = b, b
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.cmd.Wait()
		close(b.end)
	}()
	t.Cleanup(func() {
		b.cmd.Process.Kill()
		<-b.end
	})
	return b
}

// says waits until the command has printed that.
func (b *background) says(text string) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("%q of stickyd %v", text, b.cmd.Args[1:]), func() bool {
		return strings.Contains(b.output(), text) || closed(b.end)
	})
	if !strings.Contains(b.output(), text) {
		b.t.Fatalf("stickyd %v has never said %q: %s", b.cmd.Args[1:], text, b.output())
	}
}

// ends waits for the exit status.
func (b *background) ends(want int) (out string) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("the end of stickyd %v", b.cmd.Args[1:]), func() bool { return closed(b.end) })
	if status := b.cmd.ProcessState.ExitCode(); status != want {
		b.t.Errorf("stickyd %v: exit status %d, want %d: %s", b.cmd.Args[1:], status, want, b.output())
	}
	return b.output()
}

// gated starts workers that get ready when the gate is open, as it is now.
func gated(t *testing.T, n int, flags ...string) (s *server, pids map[int]int, control, gate string) {
	t.Helper()
	gate = filepath.Join(t.TempDir(), "gate")
	touch(t, gate)
	s, pids, control = controlled(t, n, worker("gated", gate), append([]string{"--min-ready", "0s"}, flags...)...)
	return s, pids, control, gate
}

func shut(t *testing.T, gate string) {
	t.Helper()
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
}

// workerWith returns the worker with that process.
func workerWith(st admin.Status, pid int) *admin.Worker {
	for i := range st.Workers {
		if st.Workers[i].PID == pid {
			return &st.Workers[i]
		}
	}
	return nil
}

// Old workers stay for as long as their sessions last, and the new ones get the
// new sessions.
func TestRestartDrainsBySession(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s", "--balance", "round-robin")
	owners := s.beginSessions(2)
	kept := s.mustConnect()
	kept.mustGet(t, "/use?sid="+owners[0].SID)
	l := s.startLoad(owners)
	restart := askMeanwhile(t, "restart", control)
	restart.says("waiting for 2 old workers with ")
	l.end()

	st := askStatus(t, control)
	if len(st.Workers) != 4 || st.Generation != 2 || st.Operation != "" {
		t.Errorf("status %+v", st)
	}
	for _, owner := range owners {
		if w := workerWith(st, owner.PID); w == nil || w.State != "draining" || w.Generation != 1 || w.Sessions == 0 || w.DrainsUntil.IsZero() {
			t.Errorf("old worker %+v", w)
		}
	}
	heirs := pidsOf(st)
	if len(heirs) != 2 || heirs[1] == pids[1] || heirs[2] == pids[2] {
		t.Errorf("workers %v, before %v", heirs, pids)
	}
	isNew := func(what string, r reply) {
		t.Helper()
		if r.PID != heirs[r.Slot] {
			t.Errorf("%s: worker %d got it, want one of %v", what, r.PID, heirs)
		}
	}
	for range 10 {
		isNew("a handshake", s.mustGet("/handshake"))
	}
	isNew("a handshake on an old worker's connection", kept.mustGet(t, "/handshake"))
	s.checkSessions(owners)

	for i := range 2 { // what the load has begun
		s.endSessionsOf(owners[i].PID, l.begun())
	}
	s.mustGet("/end?sid=" + owners[0].SID)
	s.await("worker stopped", func(e event) bool { return e.num("pid") == owners[0].PID })
	s.checkSessions(owners[1:])
	s.mustGet("/end?sid=" + owners[1].SID)
	restart.ends(0)
	for _, e := range s.awaitN(2, "worker stopped", nil) {
		if e.str("exit") != "exit status 0" || e.num("sessions_lost") != 0 {
			t.Errorf("an old worker stopped with %v", e)
		}
	}
	checkUntouchedWorkers(t, control, heirs)
}

// Clients do not notice that all workers are replaced, some times.
func TestRestartsUnderLoad(t *testing.T) {
	s, pids, control := controlled(t, 3, worker("app"), "--min-ready", "0s")
	l := s.startVisits()
	for range 5 {
		l.goesOn(10)
		mustAsk(t, "restart", control)
	}
	l.goesOn(10)
	l.end()
	t.Log(l)
	st := askStatus(t, control)
	if st.Generation != 6 || st.Sessions != 0 || st.Counters.Refused != 0 || len(st.Workers) != 3 {
		t.Errorf("status %+v", st)
	}
	stopped, _ := s.find("worker stopped", nil)
	for _, e := range stopped {
		if e.str("exit") != "exit status 0" || e.num("sessions_lost") != 0 {
			t.Errorf("an old worker stopped with %v", e)
		}
	}
	if died, _ := s.find("worker died", nil); len(stopped) != 15 || len(died) != 0 || pidsOf(st)[1] == pids[1] {
		t.Errorf("%d workers stopped, %d died", len(stopped), len(died))
	}
}

// Sessions that do not end have drain_timeout.
func TestRestartEndsSessionsThatStay(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s", "--drain-timeout", "300ms")
	owner := s.mustGet("/handshake")
	mustAsk(t, "restart", control)
	e := s.await("worker stopped", func(e event) bool { return e.num("pid") == owner.PID })
	if e.num("sessions_lost") != 1 || e.str("exit") != "exit status 0" {
		t.Errorf("stopped: %v", e)
	}
	s.await("sessions did not end in time", nil)
	for slot, pid := range pids {
		if alive(pid) {
			t.Errorf("the old worker %d is still there", slot)
		}
	}
	if r, err := s.get("/use?sid=" + owner.SID); err != nil || r.status != 404 {
		t.Errorf("the session's request: status %d, error %v", r.status, err)
	}
}

// One slot after the other, or some of them, or several at a time.
func TestRestartOfSomeSlots(t *testing.T) {
	s, pids, control, gate := gated(t, 3)
	out := mustAsk(t, "restart", control, "2")
	now := pidsOf(askStatus(t, control))
	if now[1] != pids[1] || now[2] == pids[2] || now[3] != pids[3] || !strings.Contains(out, "worker 2: ") {
		t.Errorf("workers %v, before %v: %s", now, pids, out)
	}
	starting := func() (n int) {
		for _, w := range askStatus(t, control).Workers {
			if w.State == "starting" {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		flags []string
		want  int
	}{{nil, 1}, {[]string{"--parallel", "2"}, 2}} {
		shut(t, gate)
		before, _ := s.find("worker started", nil)
		restart := askMeanwhile(t, "restart", control, tt.flags...)
		s.awaitN(len(before)+tt.want, "worker started", nil)
		if n := starting(); n != tt.want {
			t.Errorf("%v: %d workers start at a time", tt.flags, n)
		}
		touch(t, gate)
		restart.ends(0)
	}
	last := pidsOf(askStatus(t, control))
	for slot := 1; slot <= 3; slot++ {
		if last[slot] == now[slot] || last[slot] == 0 {
			t.Errorf("worker %d is %d, before %d", slot, last[slot], now[slot])
		}
	}
	if status, out := ask(t, "restart", control, "4"); status != 1 || !strings.Contains(out, "there is no worker 4") {
		t.Errorf("exit status %d: %s", status, out)
	}
}

// Who asked may go away, and nobody else may begin meanwhile.
func TestRestartGoesOnWithoutWhoAskedForIt(t *testing.T) {
	s, pids, control, gate := gated(t, 2)
	shut(t, gate)
	restart := askMeanwhile(t, "restart", control)
	restart.says("worker 1: starting the new one")
	for _, verb := range [][]string{{"restart"}, {"scale", "+1"}, {"drain", "1"}, {"upgrade"}} {
		status, out := ask(t, verb[0], control, verb[1:]...)
		if status != 1 || !strings.Contains(out, "another operation is under way: rolling restart") {
			t.Errorf("%v: exit status %d: %s", verb, status, out)
		}
	}
	restart.cmd.Process.Signal(syscall.SIGINT)
	if out := restart.ends(1); !strings.Contains(out, "the operation goes on, and stickyd status shows it") {
		t.Error("who was interrupted says ", out)
	}
	if now := askStatus(t, control).Operation; !strings.HasPrefix(now, "rolling restart: worker 1: starting the new one") {
		t.Errorf("the operation is %q", now)
	}
	touch(t, gate)
	for slot, pid := range pids {
		s.await("worker stopped", func(e event) bool { return e.num("slot") == slot && e.num("pid") == pid })
	}
	if now := pidsOf(askStatus(t, control)); len(now) != 2 || now[1] == pids[1] || now[2] == pids[2] {
		t.Errorf("workers %v, before %v", now, pids)
	}
}

// A worker that does nothing any more holds up no other.
func TestRestartOfAStoppedWorker(t *testing.T) {
	s, pids, control := controlled(t, 3, worker("app"), "--min-ready", "0s", "--balance", "round-robin",
		"--drain-timeout", "500ms", "--stop-timeout", "200ms")
	owners := s.beginSessions(3)
	stopped := owners[0].PID
	freeze(t, stopped)
	restart := askMeanwhile(t, "restart", control)
	for _, pid := range pids {
		if pid != stopped {
			s.await("worker stopped", func(e event) bool { return e.num("pid") == pid })
		}
	}
	e := s.await("worker stopped", func(e event) bool { return e.num("pid") == stopped })
	if e.str("exit") != "signal: killed" || e.num("sessions_lost") != 1 {
		t.Errorf("the stopped worker ended with %v", e)
	}
	restart.ends(0)
	if st := askStatus(t, control); len(st.Workers) != 3 || len(pidsOf(st)) != 3 {
		t.Errorf("workers %+v", st.Workers)
	}
}
