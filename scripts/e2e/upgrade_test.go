package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/admin"
)

// copyOf is stickyd's binary under another name.
func copyOf(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.Link(binary, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// script writes an executable shell script.
func script(t *testing.T, lines string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustAsk fails the test unless the command reaches what it is for, and returns
// what it printed.
func mustAsk(t *testing.T, verb, control string, flags ...string) (out string) {
	t.Helper()
	status, out := ask(t, verb, control, flags...)
	if status != 0 {
		t.Fatalf("stickyd %s %v: exit status %d: %s", verb, flags, status, out)
	}
	return out
}

// pidsOf returns the processes that are ready, by slot.
func pidsOf(st admin.Status) map[int]int {
	pids := make(map[int]int)
	for _, w := range st.Workers {
		if w.State == "ready" {
			pids[w.Slot] = w.PID
		}
	}
	return pids
}

// checkUntouched fails the test unless there are the same workers and sessions
// as before, and nothing is under way.
func checkUntouched(t *testing.T, control string, pids map[int]int, sessions int) {
	t.Helper()
	st := checkUntouchedWorkers(t, control, pids)
	if st.Sessions != sessions || st.Operation != "" {
		t.Errorf("%d sessions, want %d; operation %q", st.Sessions, sessions, st.Operation)
	}
}

func checkUntouchedWorkers(t *testing.T, control string, pids map[int]int) admin.Status {
	t.Helper()
	st := askStatus(t, control)
	if !maps.Equal(pidsOf(st), pids) || len(st.Workers) != len(pids) {
		t.Errorf("workers %v of %d, want %v", pidsOf(st), len(st.Workers), pids)
	}
	return st
}

// Nobody outside notices three upgrades in a row.
func TestUpgradesUnderLoad(t *testing.T) {
	const workers = 3
	s, pids, control := controlled(t, workers, worker("app"))
	owners := s.beginSessions(30)
	l := s.startLoad(owners)
	l.goesOn(20)
	another := copyOf(t, "another")
	for i, upgrade := range []func(){
		func() { mustAsk(t, "upgrade", control) },
		func() { s.signal(syscall.SIGUSR2) },
		func() { mustAsk(t, "upgrade", control, another) },
	} {
		upgrade()
		s.awaitN(i+1, "upgraded", nil)
		l.goesOn(20)
	}
	l.end()
	t.Log(l)
	checkUntouched(t, control, pids, len(owners)+len(l.begun()))
	s.checkSessions(owners)
	st := askStatus(t, control)
	if st.PID != s.cmd.Process.Pid || st.Counters.Upgrades != 3 || st.Counters.Refused != 0 {
		t.Errorf("pid %d, want %d; counters %+v", st.PID, s.cmd.Process.Pid, st.Counters)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", st.PID)); exe != another {
		t.Errorf("%s runs, want %s (%v)", exe, another, err)
	}
	heir := s.replace(1, pids[1]) // they are its own children, of which it hears
	if r := s.mustGet("/whoami"); r.PID != heir && r.PID != pids[2] && r.PID != pids[3] {
		t.Errorf("worker %d answered", r.PID)
	}
}

// What can't take over changes nothing, and who asked for it is told why.
func TestUpgradeThatIsRefused(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain.txt")
	if err := os.WriteFile(plain, []byte("just text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, pids, control := controlled(t, 2, worker("app"))
	owners := s.beginSessions(10)
	l := s.startLoad(owners)
	for _, tt := range []struct{ name, binary, want string }{
		{"no stickyd", "/bin/true", "did not say that it can take over; is it a stickyd"},
		{"not executable", plain, "try: chmod +x " + plain},
		{"missing", "/nonexistent/stickyd", "is the path right?"},
		{"a directory", t.TempDir(), "it is a directory"},
		{"fails", script(t, "echo nothing but trouble >&2; exit 3"), "exit status 3; the last that it wrote to stderr:\n\tnothing but trouble"},
		{"killed", script(t, "kill -9 $$"), "signal: killed"},
		{"cannot read the state", script(t, `exec `+binary+` "$1" --no-such-flag`), "--no-such-flag"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out := ask(t, "upgrade", control, tt.binary)
			if status != 1 || !strings.Contains(out, tt.want) {
				t.Errorf("exit status %d, want 1 and %q: %s", status, tt.want, out)
			}
			l.goesOn(3)
		})
	}
	l.end()
	checkUntouched(t, control, pids, len(owners)+len(l.begun()))
	s.checkSessions(owners)
	if st := askStatus(t, control); st.Counters.Upgrades != 0 {
		t.Error("upgrades:", st.Counters.Upgrades)
	}
	if failed, _ := s.find("upgrade failed, nothing has changed", nil); len(failed) != 7 {
		t.Errorf("%d failed upgrades in the log", len(failed))
	}
	mustAsk(t, "upgrade", control)
	s.checkSessions(owners)
}

// A binary that never says anything is waited for as long as the check may take.
func TestUpgradeToWhatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("the check's time limit is 10 s")
	}
	t.Parallel() // it is spent waiting
	s, pids, control := controlled(t, 2, worker("app"))
	status, out := ask(t, "upgrade", control, script(t, "sleep 1000 & echo waiting >&2; wait"))
	if status != 1 || !strings.Contains(out, "had not ended after 10") || !strings.Contains(out, "\twaiting") {
		t.Errorf("exit status %d: %s", status, out)
	}
	s.mustGet("/handshake")
	checkUntouched(t, control, pids, 1)
}

// A new program that can't make use of what it takes over gives all of it back.
func TestUpgradeThatIsGivenBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stickyd.toml")
	good := []byte("min_ready = \"0s\"\n")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s, pids, control := controlled(t, 2, worker("app"), "--config", file)
	owners := s.beginSessions(10)
	l := s.startLoad(owners)
	l.goesOn(5)
	for i, tt := range []struct{ binary, want string }{ // they pass the check
		{script(t, fmt.Sprintf(`[ "$1" = --upgrade-check ] || echo nonsense >> %s; exec %s "$@"`, file, binary)), "stickyd.toml:2: "},
		{script(t, fmt.Sprintf(`[ "$1" = --upgrade-check ] || set -- --no-such-flag "$@"; exec %s "$@"`, binary)), "--no-such-flag"},
	} {
		status, out := ask(t, "upgrade", control, tt.binary)
		if status != 1 || !strings.Contains(out, tt.want) || !strings.Contains(out, "the old program goes on") {
			t.Errorf("exit status %d, want 1 and %q: %s", status, tt.want, out)
		}
		failed := s.awaitN(i+1, "upgrade failed, this program goes on", nil)[i]
		t.Log("nobody was accepted for ", failed.str("accepting_paused"))
		l.goesOn(5)
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
		checkUntouchedWorkers(t, control, pids)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid)); exe != binary {
		t.Errorf("%s runs, want %s (%v)", exe, binary, err)
	}
	mustAsk(t, "reload", control)
	mustAsk(t, "upgrade", control)
	l.goesOn(5)
	l.end()
	checkUntouched(t, control, pids, len(owners)+len(l.begun()))
	s.checkSessions(owners)
}

// A hundred thousand sessions and a thousand connections are taken along.
func TestUpgradeWithMuchToTakeAlong(t *testing.T) {
	const workers, sessions, connections = 4, 100_000, 1000
	s, pids, control := controlled(t, workers, worker("app"), "--balance", "round-robin", "--hang-timeout", "0")
	for range workers {
		s.mustGet(fmt.Sprintf("/bind?n=%d", sessions/workers))
	}
	eventually(t, "all sessions", func() bool { return askStatus(t, control).Sessions == sessions })

	file := filepath.Join(t.TempDir(), "go")
	clients := make([]*client, connections)
	polling := func(i int) bool { return i%2 == 0 }
	parallel(connections, 20, func(i int) {
		c, err := s.connect()
		if err == nil && polling(i) {
			err = c.ask("/slow?until=" + file)
		} else if err == nil {
			_, err = c.get("/whoami")
		}
		if err != nil {
			t.Error(err)
			return
		}
		clients[i] = c
	})
	if t.Failed() {
		t.FailNow()
	}
	defer func() {
		for _, c := range clients {
			c.conn.Close()
		}
	}()
	s.awaitN(connections/2, "worker output", isSlow)

	began := time.Now()
	mustAsk(t, "upgrade", control)
	e := s.await("upgraded", nil)
	t.Logf("%d sessions, %d connections: nobody was accepted for %s; the whole upgrade took %v",
		sessions, connections, e.str("accepting_paused"), time.Since(began).Round(time.Millisecond))
	checkUntouched(t, control, pids, sessions)
	if e.num("sessions") != sessions {
		t.Errorf("the log says %d sessions", e.num("sessions"))
	}
	touch(t, file)
	parallel(connections, 20, func(i int) {
		if polling(i) {
			if r, err := clients[i].hear(); err != nil || r.status != 200 {
				t.Errorf("long poll %d: status %d, error %v", i, r.status, err)
				return
			}
		}
		if err := expect(clients[i].get, 0, "/whoami"); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	})
	parallel(1000, 20, func(i int) {
		slot, nth := 1+i%workers, i/workers*(sessions/1000)
		if err := s.expect(pids[slot], fmt.Sprintf("/use?sid=bound-%d-%d", slot, nth)); err != nil {
			t.Errorf("session %d of slot %d: %v", nth, slot, err)
		}
	})
}

// Workers outlive the programs that started them, and not the process.
func TestNobodyOutlivesAnUpgradedStickyd(t *testing.T) {
	t.Parallel() // it is the guardian's patience that takes time
	s, pids, control := controlled(t, 3, worker("stubborn/app"), "--drain-timeout", "100ms", "--stop-timeout", "100ms")
	processes := []int{pids[1], childOf(s, pids[1]), pids[2], pids[3], guardianOf(t, s.cmd.Process.Pid)}
	for range 3 {
		mustAsk(t, "upgrade", control)
	}
	for _, pid := range processes[:4] {
		if !alive(pid) {
			t.Errorf("process %d is gone", pid)
		}
	}
	processes = append(processes, guardianOf(t, s.cmd.Process.Pid), s.replace(2, pids[2]))
	s.signal(syscall.SIGKILL)
	s.wait()
	for _, pid := range processes {
		eventually(t, fmt.Sprint("the end of process ", pid), func() bool { return !alive(pid) })
	}
}

// Two that ask at once are not both served.
func TestUpgradesAtOnce(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"))
	file := filepath.Join(t.TempDir(), "go")
	slow := script(t, fmt.Sprintf("while ! [ -e %s ]; do sleep 0.01; done; exec %s \"$@\"", file, binary))
	var first sync.WaitGroup
	first.Go(func() {
		if status, out := ask(t, "upgrade", control, slow); status != 0 {
			t.Errorf("exit status %d: %s", status, out)
		}
	})
	s.await("upgrading", nil)
	for _, verb := range []string{"upgrade", "restart"} {
		if status, out := ask(t, verb, control); status != 1 || !strings.Contains(out, "another operation is under way: upgrade") {
			t.Errorf("%s: exit status %d: %s", verb, status, out)
		}
	}
	touch(t, file)
	first.Wait()
	checkUntouched(t, control, pids, 0)
}
