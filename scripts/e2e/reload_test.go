package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A configFile is a file that a test changes while stickyd runs.
type configFile struct {
	t       *testing.T
	path    string
	listen  []string
	workers int
	command []string
	more    map[string]any // further keys
}

func (f *configFile) write() {
	f.t.Helper()
	keys := map[string]any{"listen": f.listen, "workers": f.workers, "command": f.command}
	maps.Copy(keys, f.more)
	var text strings.Builder
	for key, value := range keys {
		v, err := json.Marshal(value) // which is TOML, too, for what is in here
		if err != nil {
			f.t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s = %s\n", key, v)
	}
	f.spoil(text.String())
}

// spoil writes anything.
func (f *configFile) spoil(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// startFromFile starts stickyd with two workers and what more says.
func startFromFile(t *testing.T, more map[string]any) (s *server, pids map[int]int, control string, f *configFile) {
	t.Helper()
	dir, err := os.MkdirTemp("", "stickyd-e2e-reload-") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f = &configFile{t, filepath.Join(dir, "stickyd.toml"), []string{"127.0.0.1:0"}, 2, worker("app"), map[string]any{"min_ready": "0s"}}
	maps.Copy(f.more, more)
	f.write()
	control = filepath.Join(dir, "control.sock")
	s = launch(t, "--config", f.path, "--control", control, "--log-format", "json", "--log-level", "debug")
	s.addr = s.await("listening", nil).str("addr")
	s.awaitN(2, "worker ready", nil)
	return s, pidsOf(askStatus(t, control)), control, f
}

// A command that is no good costs nobody anything, whoever asks for it.
func TestReloadOfACommandThatFails(t *testing.T) {
	s, pids, control, f := startFromFile(t, map[string]any{"start_timeout": "500ms", "min_ready": "1s"})
	owners := s.beginSessions(10)
	l := s.startUse(owners) // others may meet a new worker, which dies
	l.goesOn(5)
	reloads := 0
	for _, tt := range []struct {
		name    string
		command []string
		want    []string
	}{
		{"cannot be executed", []string{"/nonexistent/server"}, []string{"/nonexistent/server", "no such file"}},
		{"ends at once", []string{"sh", "-c", "echo no database >&2; exit 3"}, []string{"exit status 3", "no database"}},
		{"dies when it was ready", worker("short-lived"), []string{"exit status 9", "that was all"}},
		{"never ready", worker("never-ready"), []string{"not ready in time"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.command = tt.command
			f.write()
			status, out := ask(t, "reload", control)
			s.signal(syscall.SIGHUP)
			e := s.awaitN(reloads+1, "request of a signal failed", func(e event) bool { return e.str("what") == "reload" })[reloads]
			reloads++
			for _, want := range append(tt.want, "restart stopped: new worker 1 ", "0 of 2 slots run the new version", "stickyd reload tries it again") {
				if !strings.Contains(out, want) || !strings.Contains(e.str("err"), want) {
					t.Errorf("nothing says %q:\n%s\n%s", want, out, e.str("err"))
				}
			}
			if status != 1 {
				t.Error("exit status", status)
			}
			eventually(t, "the end of the new workers", func() bool { return len(askStatus(t, control).Workers) == 2 })
			checkUntouchedWorkers(t, control, pids)
		})
	}
	l.goesOn(5)
	l.end()
	checkUntouched(t, control, pids, len(owners))
	s.checkSessions(owners)

	f.command, f.more = worker("app", "another"), map[string]any{"min_ready": "0s", "drain_timeout": "100ms"}
	f.write()
	mustAsk(t, "reload", control)
	now := pidsOf(askStatus(t, control))
	for slot, pid := range pids {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", now[slot])); now[slot] == pid || !strings.HasSuffix(string(line), "\x00another\x00") {
			t.Errorf("slot %d has worker %d, %q (%v)", slot, now[slot], line, err)
		}
	}
	s.replace(1, now[1]) // and by the same command
}

// Each change costs no more than it has to.
func TestReloadOfWhatTakesNoRestart(t *testing.T) {
	t.Parallel() // a listener that is taken away has some seconds
	s, pids, control, f := startFromFile(t, nil)
	owners := s.beginSessions(10)
	l := s.startLoad(owners)
	reload := func(want string) {
		t.Helper()
		f.write()
		if out := mustAsk(t, "reload", control); !strings.Contains(out, want) {
			t.Errorf("nothing says %q: %s", want, out)
		}
		l.goesOn(3)
	}
	reload("nothing has changed")

	f.more["drain_timeout"], f.more["queue_timeout"] = "19s", "9s"
	reload("changed: queue_timeout, drain_timeout")
	checkUntouchedWorkers(t, control, pids)

	f.workers = 3
	reload("3 workers are ready")
	st := askStatus(t, control)
	pids[3] = pidsOf(st)[3]
	if pids[3] == 0 || st.Generation != 1 {
		t.Errorf("no third worker: %+v", st)
	}
	checkUntouchedWorkers(t, control, pids)

	unix := filepath.Join(filepath.Dir(f.path), "clients.sock")
	f.listen = append(f.listen, "unix:"+unix, "127.0.0.2:0")
	reload("listeners: listen")
	listen := askStatus(t, control).Listen
	if len(listen) != 3 {
		t.Fatalf("it listens on %v", listen)
	}
	if r, err := (&server{t: t, addr: "stickyd"}).getWith(unixClient(unix), "/whoami"); err != nil || r.status != 200 {
		t.Errorf("on the Unix socket: status %d, error %v", r.status, err)
	}
	second := &server{t: t, addr: listen[2]}
	second.mustGet("/whoami")
	f.listen = f.listen[:1]
	reload("listeners: listen")
	if now := askStatus(t, control).Listen; len(now) != 1 || now[0] != s.addr {
		t.Errorf("it listens on %v, want %s", now, s.addr)
	}
	f.more["metrics"] = []string{"127.0.0.1:0"}
	reload("listeners: metrics")
	s.await("metrics", nil)
	l.end()
	eventually(t, "an end of the listeners that are gone", func() bool {
		_, err := second.get("/whoami")
		_, fileErr := os.Lstat(unix)
		return err != nil && os.IsNotExist(fileErr)
	})
	checkUntouchedWorkers(t, control, pids)
	s.checkSessions(owners)
	s.endSessionsOf(pids[3], l.begun())
	f.workers = 2
	f.write()
	mustAsk(t, "reload", control)
	if e := s.await("worker drains: it keeps its sessions and gets no new ones", nil); e.num("slot") != 3 || e.str("drain_timeout") != "19s" {
		t.Errorf("worker %d drains for %s, want 3 and 19s", e.num("slot"), e.str("drain_timeout"))
	}
	delete(pids, 3)
	checkUntouchedWorkers(t, control, pids)
	if st := askStatus(t, control); st.Counters.Reloads != 7 {
		t.Errorf("%d reloads, want 7", st.Counters.Reloads)
	}
}

// What only another process can do is said, and an upgrade does it.
func TestReloadOfWhatTakesAnUpgrade(t *testing.T) {
	if *poller != "auto" {
		t.Skip("it is a flag, which wins over the file")
	}
	s, pids, control, f := startFromFile(t, nil)
	f.more["poller"] = "runtime"
	f.write()
	for range 2 {
		if out := mustAsk(t, "reload", control); !strings.Contains(out, "only an upgrade, or another start, changes: poller") {
			t.Errorf("it says %s", out)
		}
	}
	owners := s.beginSessions(4)
	mustAsk(t, "upgrade", control)
	s.checkSessions(owners)
	if out := mustAsk(t, "reload", control); !strings.Contains(out, "nothing has changed") {
		t.Errorf("after the upgrade it says %s", out)
	}
	checkUntouched(t, control, pids, len(owners))
}

// A file that is no good changes nothing, and the error is located.
func TestReloadOfAnInvalidFile(t *testing.T) {
	s, pids, control, f := startFromFile(t, nil)
	owner := s.mustGet("/handshake")
	good, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	lines := strings.Count(string(good), "\n")
	at := func(line int) string { return fmt.Sprintf("%s:%d: ", f.path, lines+line) }
	for _, tt := range []struct {
		name, more string
		want       []string
	}{
		{"value", "\ndrain_timeout = \"soon\"\nqueue_timeout = \"1s\"\n", []string{at(2), "drain_timeout", `"soon"`}},
		{"key", "queue_timeout = \"1s\"\ndrain_timeuot = \"1s\"\n", []string{at(2), "drain_timeuot", "drain_timeout"}},
		{"syntax", "queue_timeout = 1s\n", []string{at(1), "queue_timeout"}},
		{"taken", fmt.Sprintf("metrics = [\"%s\"]\nqueue_timeout = \"1s\"\n", taken.Addr()), []string{taken.Addr().String(), "in use"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.spoil(string(good) + tt.more)
			status, out := ask(t, "reload", control)
			for _, want := range append(tt.want, "nothing was changed") {
				if status != 1 || !strings.Contains(out, want) {
					t.Errorf("exit status %d, want 1 and %q: %s", status, want, out)
				}
			}
		})
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if status, out := ask(t, "reload", control); status != 1 || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, f.path) {
		t.Errorf("without the file: exit status %d: %s", status, out)
	}
	f.write()
	if out := mustAsk(t, "reload", control); !strings.Contains(out, "nothing has changed") {
		t.Errorf("with the file as it was: %s", out)
	}
	checkUntouched(t, control, pids, 1)
	s.checkSessions([]reply{owner})
}
