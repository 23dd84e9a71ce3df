package supervisor

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
)

// relay runs a supervisor, which freezes and is resumed.
type relay struct {
	t       *testing.T
	spec    Spec
	clients *clients
	now     *Supervisor
	ended   chan error
}

func newRelay(t *testing.T, workers int, out func(slot int, line string)) *relay {
	r := &relay{t: t, clients: &clients{all: make(map[*Worker]*client)}, ended: make(chan error, 1)}
	r.spec = Spec{
		Launch: launchOf("serves"), Workers: workers,
		Limits:   Limits{StartTimeout: time.Minute, DrainTimeout: time.Minute, StopTimeout: 5 * time.Second, Parallel: 1},
		Rolling:  func(bool) {},
		Guardian: []string{os.Args[0], "play-guardian"},
		Output:   func(w *Worker, _ logs.Stream, line []byte) { out(w.Slot, string(line)) },
	}
	r.run(New(r.spec, r.clients, slog.New(slog.DiscardHandler)))
	for n := 1; n <= workers; n++ {
		r.awaitReady(n)
	}
	return r
}

func (r *relay) run(s *Supervisor) {
	r.now = s
	go func() { r.ended <- s.Run() }()
}

func (r *relay) awaitReady(n int) {
	r.t.Helper()
	eventually(r.t, "a ready worker", func() bool { return len(r.clients.of(n)) == 1 })
}

// pass freezes the supervisor and resumes another one.
func (r *relay) pass() {
	r.t.Helper()
	r.run(r.freeze())
}

// freeze freezes the supervisor and returns another one, which is to be run.
func (r *relay) freeze() *Supervisor {
	r.t.Helper()
	return r.resume(r.state())
}

// state freezes the supervisor and returns what JSON keeps of it.
func (r *relay) state() *State {
	r.t.Helper()
	op, err := r.now.Begin("upgrade")
	if err != nil {
		r.t.Fatal(err)
	}
	return r.freezeIn(op)
}

func (r *relay) freezeIn(op *Operation) *State {
	r.t.Helper()
	state, err := r.now.Freeze()
	op.End()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := <-r.ended; err != ErrFrozen {
		r.t.Fatal("run returned ", err)
	}
	text, err := json.Marshal(state)
	if err != nil {
		r.t.Fatal(err)
	}
	var again State
	if err := json.Unmarshal(text, &again); err != nil {
		r.t.Fatal(err)
	}
	return &again
}

func (r *relay) resume(state *State) *Supervisor {
	r.t.Helper()
	s, err := Resume(r.spec, state, r.clients, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *relay) stop() {
	r.t.Helper()
	r.now.Stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestWorkersDoNotNoticeThatSupervisionIsFrozen(t *testing.T) {
	var lines atomic.Int64
	r := newRelay(t, 3, func(int, string) { lines.Add(1) })
	before, fds := pids(r.now), openDescriptors(t)
	for range 30 {
		r.pass()
	}
	if after := pids(r.now); len(after) != 3 || after[1] != before[1] || after[2] != before[2] || after[3] != before[3] {
		t.Errorf("workers %v became %v", before, after)
	}
	eventually(t, "as many descriptors as before", func() bool { return openDescriptors(t) <= fds })
	syscall.Kill(before[2], syscall.SIGKILL)
	eventually(t, "a replacement", func() bool {
		w := r.now.Status()[1]
		return w.PID != before[2] && w.State == "ready" && w.Cause == "signal: killed" && w.Crashes == 1 && w.Restarts == 0
	})
	if n := r.now.Ends()[2]["signal"]; n != 1 {
		t.Errorf("%d deaths of a signal, want 1", n)
	}
	r.stop()
}

// Clients may come before it is run, and what workers have said of their
// sessions by then must be heard first.
func TestWorkersCanBeHeardBeforeSupervisionGoesOn(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	s := r.freeze()
	if n := len(s.links); n != 2 {
		t.Errorf("Sync hears %d workers, want 2", n)
	}
	r.run(s)
	r.stop()
}

// Workers die at any moment of it, and each death is noticed once, with its cause.
func TestDeathsWhileSupervisionIsFrozen(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	for range 20 {
		pid := pids(r.now)[1]
		syscall.Kill(pid, syscall.SIGKILL)
		r.pass()
		r.pass()
		eventually(t, "a replacement", func() bool {
			w := r.now.Status()[0]
			return w.PID != pid && w.State == "ready" && w.Cause == "signal: killed"
		})
		r.now.slots[0].tell(func() { r.now.slots[0].deaths = 0 }) // or it would have to wait longer each time
	}
	if w := r.now.Status()[0]; w.Crashes != 20 || w.Died.IsZero() {
		t.Errorf("%d crashes, want 20; the last at %v", w.Crashes, w.Died)
	}
	if n := r.now.Ends()[1]["signal"]; n != 20 {
		t.Errorf("%d deaths, want 20", n)
	}
	r.stop()
}

func TestLinesAreWholeAndInOrderWhileSupervisionIsFrozen(t *testing.T) {
	var mu sync.Mutex
	var got []string
	r := newRelay(t, 1, func(_ int, line string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, line)
	})
	l := launchOf("counts")
	if wait, err := adoptLaunch(r.now, &l, func(string) {}); err != nil || wait() != nil {
		t.Fatal(err)
	}
	seen := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(got)
	}
	for range 50 {
		n := seen()
		eventually(t, "a line", func() bool { return seen() > n })
		r.pass()
	}
	r.stop()
	for i, line := range got {
		if want := countedLine(i); line != want {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
}

// A worker whose conversation can't be taken up is replaced, and no other; what
// it had not taken goes elsewhere.
func TestWorkerThatCanNotBeTakenUpIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(*WorkerState)
	}{
		{"a socket that is none", func(w *WorkerState) { w.Link.Native.Socket = 1 << 20 }},
		{"a page that is none", func(w *WorkerState) { w.Link.Native.Page = 1 << 20 }},
		{"an unknown client", func(w *WorkerState) { w.Incarnation = 999 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, 3, func(int, string) {})
			before, fds := pids(r.now), openDescriptors(t)
			state := r.state()
			w := state.Slots[1].Worker
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pair[1])
			text, _ := json.Marshal(map[string]any{"Untaken": []map[string]any{{"FD": pair[0], "ID": 1}}})
			json.Unmarshal(text, w.Link.Native)
			owned := w.Link.Native.FDs()
			tt.harm(w)
			for _, fd := range owned { // by the state no more
				if fd != pair[0] && !slices.Contains(w.Link.Native.FDs(), fd) {
					unix.Close(fd)
				}
			}
			r.run(r.resume(state))
			r.pass() // it may not be known yet what it lost
			eventually(t, "a replacement", func() bool {
				now := r.now.Status()[1]
				return now.PID != before[2] && now.State == "ready" && now.Cause == "lost in an upgrade and killed by stickyd"
			})
			if after := pids(r.now); len(after) != 3 || after[1] != before[1] || after[3] != before[3] {
				t.Errorf("workers %v became %v", before, after)
			}
			if n := r.now.Ends()[2]["upgrade"]; n != 1 {
				t.Errorf("%d deaths of the upgrade, want 1", n)
			}
			if got := r.clients.untaken(); len(got) != 1 || got[0].FD != pair[0] {
				t.Errorf("untaken are %+v, want %d", got, pair[0])
			}
			unix.Close(pair[0])
			eventually(t, "as many descriptors as before", func() bool { return openDescriptors(t) <= fds+1 })
			r.stop()
		})
	}
}

// untaken returns what all clients were left by workers that are gone.
func (c *clients) untaken() (all []workerproto.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		select {
		case <-one.gone:
			all = append(all, one.untaken...)
		default:
		}
	}
	return all
}

// Arguments, variables and paths are bytes, and need not be UTF-8.
func TestBytesOfACommandSurviveAFreeze(t *testing.T) {
	r := newRelay(t, 1, func(int, string) {})
	r.spec.Launcher = []string{os.Args[0], "play-launcher"}
	r.pass()
	l := launchOf("serves")
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	l.Argv[0] = filepath.Join(t.TempDir(), "worker \xff")
	if err := os.Symlink(self, l.Argv[0]); err != nil {
		t.Fatal(err)
	}
	l.Argv = append(l.Argv, "argument \xff")
	l.Env = []string{"VARIABLE=\xff"}
	l.Process.Nice = 1 // so that it is launched
	if wait, err := adoptLaunch(r.now, &l, func(string) {}); err != nil || wait() != nil {
		t.Fatal(err)
	}
	r.pass()
	before := pids(r.now)[1]
	syscall.Kill(before, syscall.SIGKILL)
	eventually(t, "a replacement", func() bool {
		w := r.now.Status()
		return len(w) == 1 && w[0].PID != before && w[0].State == "ready"
	})
	proc := fmt.Sprintf("/proc/%d/", pids(r.now)[1])
	for file, want := range map[string]string{"cmdline": strings.Join(l.Argv, "\x00"), "environ": "\x00" + l.Env[0] + "\x00"} {
		if got, err := os.ReadFile(proc + file); !strings.Contains(string(got), want) {
			t.Errorf("%s has no %q (%v)", file, want, err)
		}
	}
	r.stop()
}

func TestDrainGoesOnAfterSupervisionWasFrozen(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	old := r.clients.of(1)[0]
	old.sessions.Store(1)
	ended := make(chan error, 1)
	go func() { ended <- r.now.Restart(Rollout{MaxUnready: -1}, func(string) {}) }()
	eventually(t, "only the wait for the old one", func() bool { return r.now.Operation() == "" && len(r.now.Status()) == 3 })
	before, until := time.Now(), r.now.Status()[0].Until
	r.pass()
	if now := r.now.Status()[0].Until; now.Before(until) || now.After(until.Add(time.Since(before))) {
		t.Errorf("it drained until %v, and does now until %v", until, now)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "stickyd is being upgraded") {
		t.Error("who waited was told ", err)
	}
	if got := r.now.Status(); len(got) != 3 || got[0].State != "draining" || got[1].Generation != 2 {
		t.Errorf("%+v", got)
	}
	old.sessions.Store(0)
	<-old.gone
	eventually(t, "two workers", func() bool { return len(r.now.Status()) == 2 })
	r.stop()
}

// A user that has gone is a reason to start no worker, and not to end those that
// there are.
func TestWorkersOfAUserThatHasGone(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	before := pids(r.now)
	state := r.state()
	state.Launches[len(state.Launches)-1].Process.User = "no-such-user"
	r.run(r.resume(state))
	if op, err := r.now.Begin("nothing"); err != nil { // Run has got that far
		t.Error(err)
	} else {
		op.End()
	}
	if after := pids(r.now); len(after) != 2 || after[1] != before[1] || after[2] != before[2] {
		t.Errorf("workers %v became %v", before, after)
	}
	r.stop()
}

// Of a state that makes no sense nothing is made: who gave it can still go back.
func TestResumeOfNonsenseTouchesNothing(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	state := r.state()
	fds := openDescriptors(t)
	for _, tt := range []struct {
		name string
		harm func(*State)
	}{
		{"no launch", func(s *State) { s.Launches = nil }},
		{"an unknown launch", func(s *State) { s.Slots[1].Launch = 7 }},
		{"an unknown state", func(s *State) { s.Slots[1].State = "dancing" }},
		{"a ready slot without a worker", func(s *State) { s.Slots[1].Worker = nil }},
		{"everybody's process", func(s *State) { s.Slots[1].Worker.PID = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, _ := json.Marshal(state)
			var harmed State
			if err := json.Unmarshal(text, &harmed); err != nil {
				t.Fatal(err)
			}
			tt.harm(&harmed)
			if s, err := Resume(r.spec, &harmed, r.clients, slog.New(slog.DiscardHandler)); err == nil {
				t.Error("resumed", s)
			}
			if n := openDescriptors(t); n != fds {
				t.Errorf("%d descriptors were open before, %d are now", fds, n)
			}
		})
	}
	r.run(r.resume(state))
	r.stop()
}

// A command that is given up while supervision is being frozen ends nothing: those
// that are frozen already would go on elsewhere without the others.
func TestNoCrashLoopEndsWhatIsFrozen(t *testing.T) {
	r := newRelay(t, 2, func(int, string) {})
	next := r.freeze()
	s := r.now
	s.loop = crashLoop{started: time.Now().Add(-crashLoopPatience), failed: map[int]failure{1: {count: crashLoopFailures}, 2: {count: crashLoopFailures - 1}}}
	s.noteFailure(2, failure{cause: "exit status 1"})
	s.noteNotStarted(&commandError{})
	if s.stopping.Err() != nil {
		t.Error("it stops")
	}
	r.run(next)
	r.stop()
}
