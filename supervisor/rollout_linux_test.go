package supervisor

import (
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto"
)

// The test binary is its own worker and guardian.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "play-worker" {
		playWorker(os.Args[2])
	}
	if len(os.Args) > 1 && os.Args[1] == "play-guardian" {
		RunGuardian(os.Stdin)
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "play-launcher" {
		RunLauncher(os.Args[2:])
		os.Exit(1)
	}
	// Programs built with -race sleep for a second before they exit.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

func playWorker(kind string) {
	if kind == "dies-at-boot" {
		fmt.Println("no such module")
		os.Exit(3)
	}
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	if kind == "dies-in-slot-2" && w.Slot() == 2 {
		os.Exit(5)
	}
	if kind == "never-ready" || kind == fmt.Sprint("hangs-in-slot-", w.Slot()) {
		select {}
	}
	if kind == "another" || strings.HasPrefix(kind, "hangs-") {
		fmt.Println("worker of slot", w.Slot())
	}
	go func() {
		switch kind {
		case "dies-when-ready":
			fmt.Println("no such table")
			os.Exit(4)
		case "counts":
			for i := 0; ; i++ {
				fmt.Println(countedLine(i))
			}
		}
	}()
	for {
		if _, err := w.Accept(); err != nil {
			break
		}
	}
	if kind == "leaves-child" {
		child := exec.Command("sh", "-c", `trap "" TERM; echo deaf; while ! [ -e "$0" ]; do sleep 0.01; done`, os.Getenv("CHILD_UNTIL"))
		out, _ := child.StdoutPipe()
		child.Start()
		out.Read(make([]byte, 5))
	}
	if kind == "lingers" {
		net.Listen("tcp", "127.0.0.1:0") // as if there was somebody to answer
		select {}
	}
	os.Exit(0)
}

// countedLine is the nth line of a worker that counts.
func countedLine(n int) string { return fmt.Sprint(n, " ", strings.Repeat("x", n%300)) }

// clients are Clients whose workers have as many sessions as the test says.
type clients struct {
	last atomic.Uint32
	log  record // of the supervisor

	mu  sync.Mutex
	all map[*Worker]*client
}

type client struct {
	workerproto.Traffic // nobody calls it
	incarnation         uint32
	sessions, open      atomic.Int64
	connections         atomic.Int64
	ready, retired      atomic.Bool
	untaken             []workerproto.Connection // before gone is closed
	gone                chan struct{}
}

func (c *clients) Join(w *Worker) Client {
	one := &client{incarnation: c.last.Add(1), gone: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[w] = one
	return one
}

func (c *clients) Rejoin(w *Worker, incarnation uint32) (Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, one := range c.all {
		if one.incarnation == incarnation {
			delete(c.all, old)
			c.all[w] = one
			return one, nil
		}
	}
	return nil, fmt.Errorf("no client %d", incarnation)
}

func (c *client) Incarnation() uint32             { return c.incarnation }
func (c *client) Ready()                          { c.ready.Store(true) }
func (c *client) Draining()                       { c.retired.Store(true) }
func (c *client) Remaining() (sessions, open int) { return int(c.sessions.Load()), int(c.open.Load()) }
func (c *client) Connections() int64              { return c.connections.Load() }
func (c *client) Release() int                    { return int(c.sessions.Swap(0)) }
func (c *client) Leaving()                        {}
func (c *client) Unreachable()                    {}
func (c *client) Reachable()                      {}

func (c *client) Gone(untaken []workerproto.Connection) int {
	c.untaken = untaken
	close(c.gone)
	return c.Release()
}

// of returns the clients of slot n's workers that live, the oldest first.
func (c *clients) of(n int) (found []*client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w, one := range c.all {
		select {
		case <-one.gone:
			continue
		default:
		}
		if w.Slot == n && one.ready.Load() {
			found = append(found, one)
		}
	}
	if len(found) == 2 && found[0].incarnation > found[1].incarnation {
		found[0], found[1] = found[1], found[0]
	}
	return found
}

func launchOf(kind string) Launch {
	return Launch{Argv: []string{os.Args[0], "play-worker", kind}, Protocol: Native, Window: 8}
}

// runSupervisor runs one with ready workers until the test ends.
func runSupervisor(t *testing.T, workers int, change func(*Limits)) (*Supervisor, *clients) {
	t.Helper()
	c := &clients{all: make(map[*Worker]*client)}
	spec := Spec{
		Launch: launchOf("serves"), Workers: workers,
		Limits: Limits{StartTimeout: time.Minute, DrainTimeout: time.Minute, StopTimeout: 5 * time.Second,
			MinReady: 10 * time.Millisecond, Parallel: 1, MaxDraining: 2},
		Rolling:  func(bool) {},
		Guardian: []string{os.Args[0], "play-guardian"},
		Output:   func(*Worker, logs.Stream, []byte) {},
	}
	if change != nil {
		change(&spec.Limits)
	}
	s := New(spec, c, slog.New(slog.NewTextHandler(&c.log, nil)))
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for n := 1; n <= workers; n++ {
		eventually(t, "a ready worker", func() bool { return len(c.of(n)) == 1 && s.Status()[n-1].State == ready.String() })
	}
	return s, c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("this never came: ", what)
		}
	}
}

// A record is a log that is kept.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.text.String(), text)
}

// said collects what an operation says.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// is fails the test if something else was said.
func (s *said) is(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.lines, want) {
		t.Errorf("said %q, want %q", s.lines, want)
	}
}

// adoptLaunch is Adopt as an operation of its own.
func adoptLaunch(s *Supervisor, l *Launch, say func(string)) (wait func() error, err error) {
	op, err := s.Begin("rolling restart to a new configuration")
	if err != nil {
		return nil, err
	}
	defer op.End()
	return op.Adopt(l, say)
}

func pids(s *Supervisor) map[int]int {
	all := make(map[int]int)
	for _, sl := range s.Status() {
		all[sl.Slot] = sl.PID
	}
	return all
}

func TestRestartReplacesAllWorkersAndWaitsForTheirSessions(t *testing.T) {
	s, c := runSupervisor(t, 3, nil)
	before := pids(s)
	old := c.of(2)[0]
	old.sessions.Store(1)
	ended := make(chan error, 1)
	var said said
	go func() { ended <- s.Restart(Rollout{MaxUnready: -1}, said.say) }()
	eventually(t, "all heirs", func() bool { return s.Operation() == "" && len(c.of(2)) == 2 && len(c.of(1)) == 1 })
	if !old.retired.Load() || c.of(2)[1].retired.Load() {
		t.Error("it is not the old worker that gets no new sessions")
	}
	select {
	case err := <-ended:
		t.Fatal("it did not wait for the old worker: ", err)
	case <-old.gone:
		t.Fatal("a worker with a session ended")
	default:
	}
	old.sessions.Store(0)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, sl := range s.Status() {
		if sl.PID == before[sl.Slot] || sl.Generation != 2 || sl.State != "ready" || sl.Restarts != 1 || sl.Crashes != 0 {
			t.Errorf("%+v", sl)
		}
	}
	if len(s.Status()) != 3 {
		t.Errorf("%d slots", len(s.Status()))
	}
}

func TestRolloutThatFailsLeavesTheOldWorkers(t *testing.T) {
	for _, tt := range []struct{ kind, why string }{
		{"dies-at-boot", "crashed (exit status 3). 0 of 2 slots run the new version; its last lines:\n    no such module"},
		{"dies-when-ready", "crashed (exit status 4). 0 of 2 slots run the new version; its last lines:\n    no such table"},
		{"never-ready", "failed: not ready in time"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			s, c := runSupervisor(t, 2, func(l *Limits) {
				l.StartTimeout = 5 * time.Second
				l.MinReady = time.Minute
			})
			before := pids(s)
			l := launchOf(tt.kind)
			_, err := adoptLaunch(s, &l, func(string) {})
			if err == nil || !strings.Contains(err.Error(), tt.why) || !strings.HasPrefix(err.Error(), "restart stopped: new worker 1 ") || !strings.Contains(err.Error(), "0 of 2 slots run the new version") {
				t.Errorf("error %v, want %s", err, tt.why)
			}
			eventually(t, "the end of the heir", func() bool { return len(s.Status()) == 2 })
			after := pids(s)
			for n, pid := range before {
				if after[n] != pid || c.of(n)[0].retired.Load() {
					t.Errorf("worker %d was touched", n)
				}
			}
			if s.Operation() != "" {
				t.Error("still under way: ", s.Operation())
			}
		})
	}
}

// Who takes the file back finds that it has not changed, and must hear what does
// take it back.
func TestChangeThatFailsHalfWaySaysHowToTakeItBack(t *testing.T) {
	s, _ := runSupervisor(t, 2, nil)
	l := launchOf("dies-in-slot-2")
	_, err := adoptLaunch(s, &l, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "1 of 2 slots run the new version") || !strings.Contains(err.Error(), "stickyd restart takes it back") {
		t.Error(err)
	}
	if err := s.Restart(Rollout{MaxUnready: -1}, func(string) {}); err != nil {
		t.Error(err)
	}
	for _, sl := range s.all() {
		if sl.launch.Argv[2] != "serves" {
			t.Errorf("slot %d has %v", sl.n, sl.launch.Argv)
		}
	}
}

func TestSessionsThatDoNotEndAreCutOff(t *testing.T) {
	s, c := runSupervisor(t, 1, func(l *Limits) { l.DrainTimeout = 300 * time.Millisecond })
	old := c.of(1)[0]
	old.sessions.Store(5)
	if err := s.Restart(Rollout{MaxUnready: -1}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	<-old.gone
	if n := old.sessions.Load(); n != 0 {
		t.Errorf("%d sessions were not released", n)
	}
}

func TestScale(t *testing.T) {
	s, c := runSupervisor(t, 2, nil)
	before := pids(s)
	var said said
	if err := s.Scale(2, true, said.say); err != nil {
		t.Fatal(err)
	}
	if got := s.Status(); len(got) != 4 || got[3].Slot != 4 || got[3].State != "ready" {
		t.Errorf("%+v", got)
	}
	last := c.of(4)[0]
	last.sessions.Store(1)
	ended := make(chan error, 1)
	go func() { ended <- s.Scale(1, false, said.say) }()
	eventually(t, "the others' end", func() bool { return len(s.Status()) == 2 })
	last.sessions.Store(0)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if after := pids(s); len(after) != 1 || after[1] != before[1] {
		t.Errorf("before %v, after %v", before, after)
	}
	for _, n := range []int{0, 1025} {
		if err := s.Scale(n, false, said.say); err == nil || !strings.Contains(err.Error(), "may be 1 to 1024") {
			t.Errorf("scale to %d: %v", n, err)
		}
	}
}

func TestDrainedSlotStaysEmptyUntilItIsRestarted(t *testing.T) {
	s, _ := runSupervisor(t, 2, nil)
	if err := s.Drain(2, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got := s.Status()[1]; got.State != "drained" || got.PID != 0 {
		t.Errorf("%+v", got)
	}
	if err := s.Drain(1, func(string) {}); err == nil || !strings.Contains(err.Error(), "worker 1 is the only one that is ready") {
		t.Error("the last one was drained: ", err)
	}
	var said said
	if err := s.Restart(Rollout{Slots: []int{2}, MaxUnready: -1}, said.say); err != nil {
		t.Fatal(err)
	}
	said.is(t, "worker 2: starting the new one (0 of 1 replaced)", "worker 2: the new one is ready (1 of 1 replaced)")
	if got := s.Status(); len(got) != 2 || got[1].State != "ready" || got[1].Generation != 2 || got[0].Generation != 1 {
		t.Errorf("%+v", got)
	}
}

func TestRestartSaysThatTheOldOneDrains(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	op, err := s.Begin("rolling restart")
	if err != nil {
		t.Fatal(err)
	}
	var said said
	wait, err := op.Restart(Rollout{MaxUnready: -1}, said.say) // wait may say more
	op.End()
	if err != nil {
		t.Fatal(err)
	}
	said.is(t, "worker 1: starting the new one (0 of 1 replaced)", "worker 1: the new one is ready, the old one drains (1 of 1 replaced)")
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// Whoever is the last that serves stays, however that would come about.
func TestScaleDownKeepsTheLastReadyWorker(t *testing.T) {
	s, _ := runSupervisor(t, 4, nil)
	before := pids(s)
	for n := 1; n <= 2; n++ {
		if err := s.Drain(n, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		n        int
		relative bool
	}{{2, false}, {-3, true}} {
		err := s.Scale(tt.n, tt.relative, func(string) {})
		if err == nil || !strings.Contains(err.Error(), "none of the workers that would stay is ready; fill the drained slots first: stickyd restart 1") {
			t.Errorf("scale by %v: %v", tt, err)
		}
	}
	if now := pids(s); s.wanted() != 4 || now[3] != before[3] || now[4] != before[4] {
		t.Errorf("%d workers are wanted, of which there are %v", s.wanted(), now)
	}
	if err := s.Scale(3, false, func(string) {}); err != nil {
		t.Error("though worker 3 is ready: ", err)
	}
	if err := s.Restart(Rollout{Slots: []int{1}, MaxUnready: -1}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.Scale(1, false, func(string) {}); err != nil {
		t.Error("though worker 1 is ready again: ", err)
	}
}

func TestScaleToWhatThereIs(t *testing.T) {
	s, _ := runSupervisor(t, 2, nil)
	var said said
	if err := s.Scale(2, false, said.say); err != nil {
		t.Fatal(err)
	}
	said.is(t, "there are 2 workers already")
}

// What somebody waits for at most never becomes more.
func TestTimeThatDrainingTakesAtMost(t *testing.T) {
	s, c := runSupervisor(t, 2, func(l *Limits) { l.DrainTimeout = 300 * time.Millisecond })
	use(s, "lingers")
	if err := s.Restart(Rollout{Slots: []int{2}, MaxUnready: -1}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	c.of(2)[0].sessions.Store(3)
	sl := s.holder(2)
	ended := asked(func() error { return s.Drain(2, func(string) {}) })
	ends := make(map[string]time.Time)
	eventually(t, "its end", func() bool {
		now := sl.status.Load()
		ends[now.State] = now.End
		return now.PID == 0
	})
	if err := <-ended; err != nil {
		t.Error(err)
	}
	first, second := ends[draining.String()], ends[finishing.String()]
	if first.IsZero() || second.IsZero() || second.After(first) {
		t.Errorf("killed at %v while it drains, and at %v while it finishes", first, second)
	}
}

func TestOneOperationAtATime(t *testing.T) {
	s, _ := runSupervisor(t, 1, func(l *Limits) { l.MinReady = time.Minute })
	ended := make(chan error, 1)
	go func() { ended <- s.Restart(Rollout{MaxUnready: -1}, func(string) {}) }()
	eventually(t, "its beginning", func() bool { return s.Operation() != "" })
	if err := s.Scale(2, false, func(string) {}); err == nil || !strings.Contains(err.Error(), "rolling restart") {
		t.Error("another one began: ", err)
	}
	s.Stop()
	if err := <-ended; err == nil {
		t.Error("it was reached though everything stopped")
	}
}

func TestScaleUpToWorkersThatDieIsTakenBack(t *testing.T) {
	s, _ := runSupervisor(t, 1, func(l *Limits) { l.MinReady = time.Minute })
	ended := make(chan error, 1)
	go func() { ended <- s.Scale(2, false, func(string) {}) }()
	eventually(t, "the new one", func() bool { return len(s.Status()) == 2 && s.Status()[1].State == "ready" })
	syscall.Kill(s.Status()[1].PID, syscall.SIGKILL)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "scaling stopped: new worker 2 crashed (signal: killed). There is 1 worker, as before") {
		t.Error("scale ended with ", err)
	}
	eventually(t, "one slot", func() bool { return len(s.Status()) == 1 })
}

// Operations that begin before the slots run wait for them: an upgrade to
// another configuration has one ready at once.
func TestOperationsBeforeTheStart(t *testing.T) {
	r := &relay{t: t, clients: &clients{all: make(map[*Worker]*client)}, ended: make(chan error, 1)}
	r.spec = Spec{
		Launch: launchOf("serves"), Workers: 2,
		Limits:   Limits{StartTimeout: time.Minute, DrainTimeout: time.Minute, StopTimeout: 5 * time.Second},
		Rolling:  func(bool) {},
		Guardian: []string{os.Args[0], "play-guardian"},
		Output:   func(*Worker, logs.Stream, []byte) {},
	}
	s := New(r.spec, r.clients, slog.New(slog.DiscardHandler))
	scaled := make(chan error, 1)
	asked := make(chan struct{})
	go func() {
		close(asked)
		scaled <- s.Scale(1, true, func(string) {})
	}()
	<-asked
	r.run(s)
	if err := <-scaled; err != nil {
		t.Error(err)
	}
	for n := 1; n <= 3; n++ {
		r.awaitReady(n)
	}
	r.stop()
}

// Where no worker could ever be started, nothing waits for one.
func TestOperationsWithoutAStart(t *testing.T) {
	spec := Spec{Launch: launchOf("serves"), Workers: 1, Guardian: []string{"/nonexistent"}}
	s := New(spec, &clients{all: make(map[*Worker]*client)}, slog.New(slog.DiscardHandler))
	scaled := make(chan error, 1)
	go func() { scaled <- s.Scale(1, true, func(string) {}) }()
	if err := s.Run(); err == nil || !strings.Contains(err.Error(), "guardian") {
		t.Error("run returned", err)
	}
	if err := <-scaled; err != ErrStopping {
		t.Error("scaling returned", err)
	}
}

// A slot that is too many is nobody's to drain any more, however soon that is
// asked for.
func TestSlotsThatAreTooManyCannotBeHeld(t *testing.T) {
	s, c := runSupervisor(t, 4, nil)
	for n := 2; n <= 4; n++ {
		c.of(n)[0].sessions.Store(1)
	}
	s.shrink(1)
	for n := 2; n <= 4; n++ {
		if s.holder(n) != nil {
			t.Errorf("slot %d is held still", n)
		}
	}
}

// Who restarts faster than workers finish does not fill the machine.
func TestWorkersThatFinishAreFewInASlot(t *testing.T) {
	s, _ := runSupervisor(t, 1, nil)
	l := launchOf("lingers")
	if wait, err := adoptLaunch(s, &l, func(string) {}); err != nil || wait() != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the first", func() bool { return len(s.Status()) == 1 })
	ended := make(chan error)
	for n := range 3 {
		go func() { ended <- s.Restart(Rollout{MaxUnready: -1}, func(string) {}) }()
		eventually(t, "another that finishes", func() bool {
			all := s.Status()
			return len(all) == n+2 && s.Operation() == "" && all[n].State == "finishing"
		})
	}
	if all := s.Status(); all[1].Until.Sub(all[0].Until) < 30*time.Second {
		t.Errorf("the oldest of too many has until %v, the next until %v", all[0].Until, all[1].Until)
	}
	s.Kill()
	for range 3 {
		if err := <-ended; err != nil && err != ErrStopping {
			t.Error(err)
		}
	}
}
