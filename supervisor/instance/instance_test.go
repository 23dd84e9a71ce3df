package instance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/supervisor/upgrade"
	"github.com/stickyd/stickyd/workerproto"
)

// The test binary is its own worker, client and guardian.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "play-worker":
			playWorker()
		case upgrade.CheckArg:
			log.Fatal("a test is no program to go on in")
		case "play-idle-clients":
			playIdleClients(os.Args[2])
		case "guardian":
			supervisor.RunGuardian(os.Stdin)
			os.Exit(0)
		case "exec-worker":
			supervisor.RunLauncher(os.Args[2:])
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// playWorker answers long polls never and everything else at once.
func playWorker() {
	if os.Getenv("PLAY") == "broken" {
		log.Fatal("broken")
	}
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/poll", func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/bind", func(rw http.ResponseWriter, r *http.Request) {
		if err := w.Bind(r.Context(), r.FormValue("id")); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, w.Slot()) })
	if err := w.Serve(&http.Server{Handler: mux}); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	os.Exit(0)
}

// idleConnections is how many there are, half of them long polls and half
// kept-alive connections between two requests.
const idleConnections = 5000

// playIdleClients opens them, says so, and keeps them until its input ends.
func playIdleClients(addr string) {
	conns := make([]net.Conn, idleConnections)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			log.Fatal(err)
		}
		conns[i] = conn
		if i%2 == 0 {
			io.WriteString(conn, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
			continue
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(conns)
	os.Exit(0)
}

// startRooms makes the rooms of an app, and starts them.
func startRooms(t *testing.T, args []string) *app {
	t.Helper()
	args = append(args, "--listen", "127.0.0.1:0", "--log-level", "error", "--", os.Args[0], "play-worker")
	p := &Program{
		Load: func() (*config.Config, error) {
			c, _, err := config.Load(args)
			return c, err
		},
		Version: "test", Guardian: []string{os.Args[0], "guardian"}, Launcher: []string{os.Args[0], "exec-worker"},
	}
	p.begin()
	c, err := p.Load()
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.supervisor = supervisor.New(a.spec, a, a.log.Logger)
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	p.listenToSignals()
	return a
}

// startApp runs an app in this process; the returned function ends it.
func startApp(t *testing.T, args ...string) (a *app, stop func()) {
	t.Helper()
	a = startRooms(t, args)
	ended := make(chan error, 1)
	go func() {
		_, err := a.run()
		ended <- err
	}()
	return a, func() {
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// cost is what this process holds.
type cost struct{ descriptors, goroutines int }

func costNow(t *testing.T) cost {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return cost{len(fds), runtime.NumGoroutine()}
}

func pidsOf(a *app) map[int]int {
	all := make(map[int]int)
	for _, sl := range a.supervisor.Status() {
		if sl.State == "ready" {
			all[sl.Slot] = sl.PID
		}
	}
	return all
}

func residentKB(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		fmt.Sscanf(line, "VmRSS: %d kB", &kb)
	}
	return kb
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("this never came: %s; now %+v", what, costNow(t))
		}
	}
}

func TestIdleConnectionsCostStickydNothing(t *testing.T) {
	a, stop := startApp(t, "--control", "off", "--workers", "2", "--drain-timeout", "1s")
	defer stop()
	addr := a.doors.Addrs()[0].String()
	slots := make(map[string]bool)
	eventually(t, "an answer of each worker", func() bool { // until everything that is made once has been made
		resp, err := http.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer http.DefaultClient.CloseIdleConnections()
		defer resp.Body.Close()
		slot, _ := io.ReadAll(resp.Body)
		slots[string(slot)] = true
		return len(slots) == 2
	})
	clients := exec.Command(os.Args[0], "play-idle-clients", addr)
	in, _ := clients.StdinPipe()
	out, _ := clients.StdoutPipe()
	clients.Stderr = os.Stderr
	handed := a.front.Stats.Handed.Load()
	before, beforeKB := costNow(t), residentKB(t)
	if err := supervisor.StartChild(clients); err != nil { // or the app would reap it
		t.Fatal(err)
	}
	during := costNow(t) // with the pipes to the clients
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatal("the clients said", line, err)
	}
	eventually(t, "all connections handed over", func() bool { return a.front.Stats.Handed.Load() >= handed+idleConnections })
	eventually(t, fmt.Sprintf("nothing held for them: %+v", during), func() bool {
		now := costNow(t)
		return now.descriptors <= during.descriptors && now.goroutines <= during.goroutines
	})
	t.Logf("%d idle connections: %+v before, %+v with them; resident %d kB before, %d kB with them",
		idleConnections, before, costNow(t), beforeKB, residentKB(t))
	in.Close()
	supervisor.WaitChild(clients)
}

// Who reloads waits for the old workers to drain, and nobody else does: what is
// wrong in the new configuration can be changed at once.
func TestReloadBesideWorkersThatDrain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stickyd.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("workers = 1\n")
	a, stop := startApp(t, "--control", "off", "--config", file, "--drain-timeout", "1m")
	defer stop()
	poll, err := net.Dial("tcp", a.doors.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(poll, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "an open request", func() bool {
		all := a.router.Members()
		return len(all) == 1 && all[0].Open == 1
	})
	write("workers = 1\nmin_ready = \"0s\"\n[env]\nA = \"1\"\n")
	wait, err := a.reload(func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(a.supervisor.Status()); n != 2 {
		t.Errorf("%d workers, of which one drains", n)
	}
	write("workers = 1\nmin_ready = \"0s\"\n[env]\nA = \"2\"\n")
	waitToo, err := a.reload(func(string) {})
	if err != nil {
		t.Error(err)
	}
	poll.Close()
	if err := errors.Join(wait(), waitToo()); err != nil {
		t.Error(err)
	}
}

// A reload of which a part fails says which, and what holds all the same.
func TestReloadThatFailsInPart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stickyd.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("min_ready = \"0s\"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("workers = 3\n")
	a, stop := startApp(t, "--control", "off", "--config", file, "--drain-timeout", "1s")
	defer stop()
	eventually(t, "ready workers", func() bool { return len(pidsOf(a)) == 3 })
	pids := pidsOf(a)
	for _, tt := range []struct{ text, want string }{
		{"workers = 2\nstop_timeout = \"1s\"\n[env]\nPLAY = \"broken\"\n", "unchanged: env; in effect all the same: stop_timeout, workers"},
		{"workers = 2\nstop_timeout = \"1s\"\n[env]\nPLAY = \"broken\"\n", "unchanged: env"},
	} {
		write(tt.text)
		var said []string
		err := a.Reload(func(line string) { said = append(said, line) })
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) || !strings.Contains(err.Error(), "0 of 2 slots run the new version") {
			t.Errorf("it failed with %v, after %q", err, said)
		}
		if c := a.config.Load(); c.Workers != 2 || len(c.Env) > 0 || c.StopTimeout != time.Second {
			t.Errorf("%d workers, %v, %v", c.Workers, c.Env, c.StopTimeout)
		}
	}
	delete(pids, 3)
	eventually(t, "two workers", func() bool { return maps.Equal(pidsOf(a), pids) })
}

// Where a reload could not change what sessions are told by, that is as before.
func TestReloadThatFailsLeavesSessionsAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stickyd.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("min_ready = \"0s\"\nworkers = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	a, stop := startApp(t, "--control", "off", "--config", file, "--drain-timeout", "1s")
	defer stop()
	eventually(t, "a ready worker", func() bool { return len(pidsOf(a)) == 1 })
	write("session = \"header:X-Session\"\n[env]\nPLAY = \"broken\"\n")
	err := a.Reload(func(string) {})
	if err == nil || !strings.HasSuffix(err.Error(), "\nunchanged: session, env") {
		t.Error("it failed with", err)
	}
	resp, err := http.Get("http://" + a.doors.Addrs()[0].String() + "/?sid=x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if s := &a.front.Stats; s.Unknown.Load() != 1 || s.Without.Load() != 0 {
		t.Errorf("of a request with a session's id %d were seen, and %d without", s.Unknown.Load(), s.Without.Load())
	}
}

// What signals ask for while an operation is under way is done when that has
// ended: workers are added up, and several reloads are one.
func TestSignalsWaitForTheirTurn(t *testing.T) {
	a, stop := startApp(t, "--workers", "1", "--drain-timeout", "1s", "--min-ready", "0s")
	defer stop()
	op, err := a.supervisor.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	signals := []os.Signal{syscall.SIGTTIN, syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGHUP}
	for _, s := range signals {
		if !a.obey(s) {
			t.Error(s, "stops")
		}
	}
	if n := len(a.supervisor.Status()); n != 1 || a.reloads.Load() != 0 {
		t.Errorf("they did not wait: %d workers, %d reloads", n, a.reloads.Load())
	}
	op.End()
	a.tasks.Wait()
	if n := len(a.supervisor.Status()); n != 3 || a.reloads.Load() != 1 {
		t.Errorf("%d workers, %d reloads", n, a.reloads.Load())
	}
}

// logged returns how often the app has logged messages that begin so.
func logged(a *app, begin string) (n int) {
	events, _ := a.log.Events().From(1, 1000)
	for _, e := range events {
		if strings.HasPrefix(e.Message, begin) {
			n++
		}
	}
	return n
}

// Several upgrades that wait for their turn are one.
func TestUpgradesWaitForTheirTurn(t *testing.T) {
	a, stop := startApp(t, "--workers", "1", "--drain-timeout", "1s", "--control", "off")
	defer stop()
	op, err := a.supervisor.Begin("scaling")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !a.obey(syscall.SIGUSR2) {
			t.Error("it stops")
		}
	}
	if n := logged(a, "upgrading"); n != 0 {
		t.Errorf("%d did not wait", n)
	}
	op.End()
	a.tasks.Wait()
	if begun, failed := logged(a, "upgrading"), logged(a, "upgrade failed, nothing has changed"); begun != 1 || failed != 1 {
		t.Errorf("%d upgrades, of which %d failed", begun, failed)
	}
	if n := logged(a, "request of a signal failed") + logged(a, "done"); n != 0 {
		t.Errorf("the outcome was logged %d times more", n)
	}
}

// Signals that cancel each other are said to, and not to add up to 0 workers.
func TestSignalsThatAddUpToNothing(t *testing.T) {
	a, stop := startApp(t, "--workers", "1", "--drain-timeout", "1s", "--control", "off")
	defer stop()
	op, err := a.supervisor.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []os.Signal{syscall.SIGTTIN, syscall.SIGTTOU} {
		a.obey(s)
	}
	op.End()
	a.tasks.Wait()
	if n := logged(a, "nothing to do"); n != 1 {
		t.Errorf("that was said %d times", n)
	}
	if n := logged(a, "done"); n != 0 {
		t.Errorf("something was done %d times", n)
	}
}

// A change of files is not lost that comes during an operation, or while old
// workers drain.
func TestChangedFilesWaitForTheirTurn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.js")
	change := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("")
	a, stop := startApp(t, "--workers", "1", "--watch", file, "--drain-timeout", "1m", "--min-ready", "0s", "--control", "off")
	defer stop()
	generation := func(n int) func() bool {
		return func() bool {
			all := a.supervisor.Status()
			newest := all[len(all)-1]
			return newest.State == "ready" && newest.Generation == n
		}
	}
	eventually(t, "a ready worker", generation(1))
	poll, err := net.Dial("tcp", a.doors.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	io.WriteString(poll, "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "an open request", func() bool { return a.router.Members()[0].Open == 1 })
	op, err := a.supervisor.Begin("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	change("1")
	eventually(t, "a look at the files", func() bool {
		events, _ := a.log.Events().From(1, 1000)
		return slices.ContainsFunc(events, func(e logs.Event) bool { return strings.HasPrefix(e.Message, "files have changed") })
	})
	op.End()
	eventually(t, "new workers", generation(2))
	change("22")
	eventually(t, "newer workers beside the first, which drains", generation(3))
	if n := len(pidsOf(a)); n != 1 {
		t.Errorf("%d workers are ready", n)
	}
	poll.Close()
}

// Whose turn does not come before an upgrade are acted on after it.
func TestSignalsOutliveAnUpgrade(t *testing.T) {
	a := &app{program: &Program{signals: make(chan os.Signal, 8)}, scaled: supervisor.Tally{Limit: 9}, reloaded: supervisor.Tally{Limit: 1}, upgraded: supervisor.Tally{Limit: 1}}
	for range 2 {
		a.scaled.Add(-1)
		a.reloaded.Add(1)
		a.upgraded.Add(1)
	}
	a.keepWaiting()
	for _, want := range []os.Signal{syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTTOU, syscall.SIGTTOU} {
		if len(a.program.signals) == 0 {
			t.Fatal("lost: ", want)
		}
		if got := <-a.program.signals; got != want {
			t.Errorf("%v instead of %v", got, want)
		}
	}
	if len(a.program.signals) > 0 {
		t.Error("more than that: ", <-a.program.signals)
	}
}
