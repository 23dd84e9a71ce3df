package instance

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/upgrade"
)

// A frozenApp is an app that was frozen in this process, and may go on here.
type frozenApp struct {
	*frozen
	program *Program
	addr    string
	pids    map[int]int
}

// A runningApp is an app with a ready worker, and an upgrade that has begun.
type runningApp struct {
	*app
	frozenApp
	begun func() // ends that
	ended chan error
}

func newRunningApp(t *testing.T, args ...string) *runningApp {
	t.Helper()
	a := startRooms(t, append(args, "--workers", "1", "--drain-timeout", "1s", "--control", filepath.Join(t.TempDir(), "control")))
	r := &runningApp{app: a, ended: make(chan error, 1)}
	go func() {
		var err error
		r.frozenApp.frozen, err = a.run()
		r.ended <- err
	}()
	eventually(t, "a ready worker", func() bool { return len(pidsOf(a)) == 1 })
	r.frozenApp.program, r.addr, r.pids = a.program, a.doors.Addrs()[0].String(), pidsOf(a)
	op, err := a.supervisor.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	r.begun = op.End
	return r
}

// freezeApp freezes an app for another program, around which something is done.
func freezeApp(t *testing.T, around func(freeze func() error) error) *frozenApp {
	t.Helper()
	return newRunningApp(t).toFreeze(t, around)
}

func (r *runningApp) toFreeze(t *testing.T, around func(freeze func() error) error) *frozenApp {
	t.Helper()
	err := around(func() error { return r.freeze("/nonexistent", nil) })
	r.begun()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-r.ended; r.frozenApp.frozen == nil {
		t.Fatalf("it does not go on: %v", err)
	}
	return &r.frozenApp
}

// expectToCarryOn fails the test if the same worker does not answer afterwards.
func (f *frozenApp) expectToCarryOn(t *testing.T, why error) {
	t.Helper()
	a, err := f.program.carryOn(&f.before, why)
	if err != nil {
		t.Fatal(err)
	}
	if a.endpoints.Control() == "" {
		t.Error("there is no control socket")
	}
	f.expectToServe(t, a, 1)
}

// expectToSucceed is what the new program does.
func (f *frozenApp) expectToSucceed(t *testing.T, c *config.Config) *app {
	t.Helper()
	a, err := f.program.build(f.startOf(c), f.table)
	if err == nil {
		err = a.succeed(&f.before, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// expectToServe runs what was built of f, until it has so many workers and has
// answered who came before that.
func (f *frozenApp) expectToServe(t *testing.T, a *app, workers int) {
	t.Helper()
	waiting := make(chan string, 1)
	go func() { waiting <- get(f.addr) }()
	ended := make(chan error, 1)
	go func() {
		_, err := a.run()
		ended <- err
	}()
	if got := <-waiting; got == "" || strings.Trim(got, "12") != "" {
		t.Errorf("got %q", got)
	}
	eventually(t, "ready workers", func() bool { return len(pidsOf(a)) == workers })
	if now := pidsOf(a); now[1] != f.pids[1] {
		t.Errorf("workers %v became %v", f.pids, now)
	}
	eventually(t, "an end of the change of configuration", func() bool { return a.supervisor.Operation() == "" })
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func get(url string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Get("http://" + url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// Where the state can't be written the process is as it was.
func TestUpgradeWhoseStateCannotBeWritten(t *testing.T) {
	f := freezeApp(t, func(freeze func() error) error {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		small := limit
		small.Cur = 1 // byte in a file
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
		return freeze()
	})
	why := f.exec(f.program)
	if !errors.Is(why, syscall.EFBIG) {
		t.Error("it failed with", why)
	}
	f.expectToCarryOn(t, why)
}

// A signal that came too late for the old program is not lost where there is no
// new one.
func TestUpgradeWhoseProgramCannotBeExecuted(t *testing.T) {
	f := freezeApp(t, func(freeze func() error) error { return freeze() })
	f.program.keep(syscall.SIGTTIN)
	why := f.exec(f.program)
	if !errors.Is(why, syscall.ENOENT) {
		t.Error("it failed with", why)
	}
	if len(f.program.signals) != 1 || <-f.program.signals != syscall.SIGTTIN {
		t.Error("a signal was lost")
	}
	f.expectToCarryOn(t, why)
}

// What signals have asked for, and its turn has not come, is done afterwards.
// Signals themselves an exec carries over once each.
func TestUpgradeTakesAlongWhatSignalsAskedFor(t *testing.T) {
	r := newRunningApp(t)
	for _, s := range []os.Signal{syscall.SIGTTIN, syscall.SIGHUP, syscall.SIGTTIN} {
		if !r.obey(s) {
			t.Error(s, "stops")
		}
	}
	f := r.toFreeze(t, func(freeze func() error) error { return freeze() })
	f.state.Close()
	if n := len(f.program.signals); n > 0 {
		t.Errorf("%d signals are kept", n)
	}
	a := f.expectToSucceed(t, &f.meta.Config)
	f.expectToServe(t, a, 3)
	if n := a.reloads.Load(); n != 1 {
		t.Errorf("%d reloads", n)
	}
}

// An upgrade that was asked for while another one was under way follows it.
func TestUpgradeTakesAlongThatAnotherIsToFollow(t *testing.T) {
	r := newRunningApp(t)
	for range 2 {
		r.obey(syscall.SIGUSR2)
	}
	f := r.toFreeze(t, func(freeze func() error) error { return freeze() })
	f.state.Close()
	if !f.meta.Upgrade {
		t.Error("it was forgotten")
	}
	f.meta.Upgrade = false // the test is no program to go on in
	f.expectToServe(t, f.expectToSucceed(t, &f.meta.Config), 1)
}

// Files that have changed while an upgrade was under way, or after its program
// looked at them last, have the next one restart the workers.
func TestUpgradeTakesAlongThatFilesHaveChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.js")
	change := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, noticed := range []bool{true, false} {
		change("")
		r := newRunningApp(t, "--watch", file, "--min-ready", "0s")
		eventually(t, "a look at the files", func() bool { return r.watched.Load() != nil })
		if noticed {
			change("1")
			eventually(t, "another one", func() bool { return logged(r.app, "files have changed") == 1 })
		}
		f := r.toFreeze(t, func(freeze func() error) error { return freeze() })
		if !noticed {
			change("1")
		}
		f.state.Close()
		if n := logged(r.app, "operation failed"); n > 0 {
			t.Errorf("%d restarts are said to have failed", n)
		}
		a := f.expectToSucceed(t, &f.meta.Config)
		runUntil(t, a, "a new worker", func() bool {
			now := pidsOf(a)
			return now[1] != 0 && now[1] != f.pids[1]
		})
	}
}

// Whose a session was is known by its process, also after an upgrade that failed.
func TestWhoDiedIsRemembered(t *testing.T) {
	r := newRunningApp(t)
	const id = "session-of-who-dies"
	if got := get(r.addr + "/bind?id=" + id); got != "" {
		t.Fatal("bind: ", got)
	}
	pid := r.pids[1]
	eventually(t, "its session", func() bool {
		e := r.Explain([]byte(id))
		return e.State == admin.Owned && e.PID == pid
	})
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "another worker", func() bool {
		now := pidsOf(r.app)
		return now[1] != 0 && now[1] != pid
	})
	if e := r.Explain([]byte(id)); e.State != admin.Dead || e.PID != pid || e.DiedAt.IsZero() {
		t.Errorf("after: %+v, of worker %d", e, pid)
	}
	f := r.toFreeze(t, func(freeze func() error) error { return freeze() })
	f.state.Close()
	a, err := f.program.carryOn(&f.before, errors.New("it can't be executed"))
	if err != nil {
		t.Fatal(err)
	}
	if e := a.Explain([]byte(id)); e.State != admin.Dead || e.PID != pid {
		t.Errorf("after the upgrade that failed: %+v, of worker %d", e, pid)
	}
	runUntil(t, a, "a ready worker", func() bool { return len(pidsOf(a)) == 1 })
}

// Who dies in a loop is not remembered for ever.
func TestDeadWorkersAreForgotten(t *testing.T) {
	var d deadWorkers
	start := time.Now()
	for i := range maxDead + 2 {
		d.add(uint32(i+1), deadWorker{PID: 100 + i, At: start.Add(time.Duration(i))})
	}
	if d.pid(2) != 0 || d.pid(3) != 102 || len(d.all) != maxDead {
		t.Errorf("%d are remembered", len(d.all))
	}
	d.forget(start.Add(maxDead))
	if d.pid(maxDead) != 0 || d.pid(maxDead+1) == 0 || len(d.all) != 2 {
		t.Errorf("%d are remembered at last", len(d.all))
	}
}

// runUntil runs an app until something has come about, and then stops it.
func runUntil(t *testing.T, a *app, what string, ok func() bool) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := a.run()
		ended <- err
	}()
	eventually(t, what, ok)
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What a program of another version says of its workers, and this one can't make
// anything of, is seen while it can still be given back.
func TestUpgradeOfWorkersInAnUnknownState(t *testing.T) {
	a := startRooms(t, []string{"--control", "off"})
	defer a.doors.Close()
	for state, want := range map[string]string{
		"ready":    "",
		"sleeping": `cannot take over the workers: slot 1 has state "sleeping"`,
	} {
		m := &meta{Router: a.router.State(), Supervisor: &supervisor.State{
			Launches: make([]supervisor.Launch, 1),
			Slots:    []supervisor.SlotState{{N: 1, State: state, Worker: &supervisor.WorkerState{PID: 2}}},
		}}
		file, err := a.write(m)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		read, err := upgrade.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readBefore(read); err == nil && want != "" || err != nil && (want == "" || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", state, err, want)
		}
	}
}

// Whoever has chosen where clients connect has done so for the new program, too.
func TestUpgradeStartsWhereTheOldOneListened(t *testing.T) {
	b := &before{meta: &meta{Config: config.Config{}}} // with a service manager's socket
	c := b.startOf(&config.Config{ListenByDefault: true, Listen: []string{config.DefaultListen}})
	if c.ListenByDefault || len(c.Listen) > 0 {
		t.Errorf("it starts with %v, by default: %v", c.Listen, c.ListenByDefault)
	}
}

// What is new in the configuration holds after an upgrade, as far as it can.
func TestUpgradeToAnotherConfiguration(t *testing.T) {
	f := freezeApp(t, func(freeze func() error) error { return freeze() })
	f.state.Close()
	c := f.meta.Config
	c.Workers, c.Control, c.WorkerMemory = 2, "/nonexistent/control", 64<<20
	a := f.expectToSucceed(t, &c)
	f.expectToServe(t, a, 2)
	if now := a.config.Load(); now.Workers != 2 || now.WorkerMemory != 0 {
		t.Errorf("%d workers, of %d bytes", now.Workers, now.WorkerMemory)
	}
}

// While another binary is checked the upgrade can be cancelled.
func TestUpgradeThatIsCancelled(t *testing.T) {
	a, stop := startApp(t, "--workers", "1", "--drain-timeout", "1s")
	defer stop()
	hangs := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.check(over, hangs); !errors.Is(err, context.Canceled) {
		t.Error("the check ended with", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.upgrade(hangs, nil) }()
	eventually(t, "the upgrade", func() bool { return a.supervisor.Operation() == "upgrade: checking "+hangs })
	if err := a.supervisor.Cancel(func(string) {}); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, supervisor.ErrCancelled) {
		t.Error("it ended with", err)
	}
	if a.goesOn() {
		t.Error("it goes on elsewhere")
	}
}

// Who stops does not wait for a binary that is being checked.
func TestUpgradeThatTheEndComesBefore(t *testing.T) {
	a, stop := startApp(t, "--workers", "1", "--drain-timeout", "1s")
	ran := filepath.Join(t.TempDir(), "ran")
	hangs := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\n: >"+ran+"\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.upgrade(hangs, nil) }()
	eventually(t, "a check", func() bool {
		_, err := os.Stat(ran)
		return err == nil
	})
	stop()
	if err := <-ended; err != supervisor.ErrStopping {
		t.Error("it ended with", err)
	}
}

// Where the workers are at their end, so is the process, and says so.
func TestUpgradeOfWhatEnds(t *testing.T) {
	r := newRunningApp(t)
	r.supervisor.Stop() // as in a crash loop
	err := r.freeze("/nonexistent", nil)
	r.begun()
	if !errors.Is(err, errLost) {
		t.Error("it failed with", err)
	}
	if err := <-r.ended; !errors.Is(err, errLost) {
		t.Error("it ended with", err)
	}
}

// A worker that had its time, and is finishing, is in no router any more. It goes
// on like the others.
func TestUpgradeBesideAWorkerThatIsReleased(t *testing.T) {
	f := freezeApp(t, func(freeze func() error) error { return freeze() })
	f.state.Close()
	f.meta.Members = nil
	c := f.meta.Config
	c.Workers = 2
	a := f.expectToSucceed(t, &c)
	f.expectToServe(t, a, 2)
}
