package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// throughJSON is a state as the next process gets it.
func throughJSON[T any](t *testing.T, s T) (next T) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &next)
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// closedOnExec sees that no process that is started meanwhile gets a descriptor.
func closedOnExec(t *testing.T, fd int) {
	t.Helper()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d: flags %d, %v", fd, flags, err)
	}
}

// takeOver detaches from one server what another gets, which goes on with its
// history.
func takeOver(t *testing.T, from *fake, s *Server, ln *Listener) (*fake, *Listener) {
	t.Helper()
	lines, events := from.Logs().State(), from.Events().State()
	s.Freeze()
	state, err := ln.Detach()
	if err != nil {
		t.Fatal(err)
	}
	closedOnExec(t, state.FD)
	heir := newFake(t)
	heir.Logs().Restore(throughJSON(t, lines))
	heir.Events().Restore(throughJSON(t, events))
	adopted, err := Adopt(throughJSON(t, state), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, heir, adopted)
	return heir, adopted
}

func TestUpgrade(t *testing.T) {
	ownPlace(t)
	soon(t, time.Minute)
	f, s, ln := serve(t, "", port3000)
	f.status.PID = 1
	f.print(1, "one", "two")
	f.log.Info("first")
	asking := follow(t, "upgrade", "/bin/new")
	caller := <-f.caller
	caller.Say("checking /bin/new")
	asking.says(t, "checking /bin/new\n")
	logs, events := follow(t, "logs", "-f", "-n", "1"), follow(t, "events", "-f", "--json")
	watching := follow(t, "status", "--watch", "--json")
	logs.says(t, "[1] two\n")
	<-events.out.lines
	<-watching.out.lines
	fd, err := caller.Detach()
	if err != nil {
		t.Fatal(err)
	}
	closedOnExec(t, fd)
	caller.Say("not passed on any more")
	caller.End(nil)

	heir, adopted := takeOver(t, f, s, ln)
	attached, err := Attach(fd)
	if err != nil {
		t.Fatal(err)
	}
	attached.Say("taking over")
	asking.says(t, "taking over\n")
	heir.print(1, "three")
	logs.says(t, "[1] three\n")
	heir.log.Info("second")
	if line := <-events.out.lines; !strings.HasSuffix(line, `"level":"INFO","msg":"second"}`+"\n") {
		t.Errorf("event %s", line)
	}
	eventually(t, watching, `"pid":0,`) // the heir's
	attached.End(nil)
	asking.says(t, "upgraded\n")
	if status := <-asking.returned; status != 0 {
		t.Errorf("exit status %d, %s", status, &asking.errs)
	}
	if _, err := os.Lstat(adopted.Path()); err != nil {
		t.Error("the socket's file is gone: ", err)
	}
}

// eventually reads what a command prints until it has this.
func eventually(t *testing.T, f *following, want string) {
	t.Helper()
	for !strings.Contains(f.next(t, want), want) {
	}
	go f.discard() // it goes on
}

// Who comes while nobody accepts is answered afterwards.
func TestNobodyIsTurnedAwayMeanwhile(t *testing.T) {
	ownPlace(t)
	f, s, ln := serve(t, "", port3000)
	path := ln.Path()
	s.Freeze()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /v1/status HTTP/1.0\r\n\r\n")
	takeOverFrozen(t, f, ln)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if answer, err := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.0 200 OK") {
		t.Errorf("%v: %s", err, answer)
	}
}

func takeOverFrozen(t *testing.T, f *fake, ln *Listener) {
	t.Helper()
	state, err := ln.Detach()
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := Adopt(state, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, f, adopted)
}

// A listener that was not detached serves another server as well.
func TestThawedInTheSameProcess(t *testing.T) {
	ownPlace(t)
	f, s, ln := serve(t, "", port3000)
	if status, _, errs := command("status"); status != 0 { // it serves by now
		t.Errorf("exit status %d, %s", status, errs)
	}
	s.Freeze()
	serveOn(t, f, ln)
	if status, _, errs := command("status"); status != 0 {
		t.Errorf("exit status %d, %s", status, errs)
	}
}

// Freeze waits for nobody who does not read, or does not ask.
func TestFreezeEnds(t *testing.T) {
	ownPlace(t)
	f, s, ln := serve(t, "", port3000)
	resp, err := newClient(ln.Path()).do(context.Background(), "GET", "/v1/logs?n=0&follow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 5000 {
		f.print(1, strings.Repeat("x", 1000))
	}
	silent, err := net.Dial("unix", ln.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f.gate = make(chan error)
	defer close(f.gate)
	operating := follow(t, "reload")
	<-f.asked
	s.Freeze()
	if status := <-operating.returned; status != 1 || !strings.Contains(operating.errs.String(), "stickyd is being upgraded") {
		t.Errorf("an operation: exit status %d, %s", status, &operating.errs)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("one that had not read is still told something")
	}
	io.WriteString(silent, "GET /v1/status HTTP/1.0\r\n\r\n") // fails where it was closed already
	silent.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := silent.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that asks afterwards: %d bytes, %v", n, err)
	}
}

// Also who was told nothing, for want of lines of that slot, knows where to go on.
func TestFollowerIsToldWhereToGoOn(t *testing.T) {
	ownPlace(t)
	f, s, ln := serve(t, "", port3000)
	f.status.Workers = []Worker{{Slot: 1}, {Slot: 2}}
	f.print(1, "one")
	resp, err := newClient(ln.Path()).do(context.Background(), "GET", "/v1/logs?follow=1&slot=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f.print(1, "two", "three")
	s.Freeze()
	var m Mark
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || m != (Mark{End: EndUpgrade, Seq: 3}) {
		t.Errorf("%v: %+v", err, m)
	}
}

// The adopted socket removes its file, but not what has taken its place.
func TestAdoptedSocketIsRemoved(t *testing.T) {
	ownPlace(t)
	for _, replaced := range []bool{false, true} {
		ln, err := Listen("", port3000, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		state, err := ln.Detach()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close() // has nothing left to close
		adopted, err := Adopt(throughJSON(t, state), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := adopted.Follow(&net.TCPAddr{Port: 4000}); err != nil || !strings.Contains(adopted.Path(), "/4000-") {
			t.Errorf("it does not follow: %s, %v", adopted.Path(), err)
		}
		path := adopted.Path()
		if replaced {
			os.Rename(path, path+".old") // or the inode might be used again
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		adopted.Close()
		if _, err := os.Lstat(path); os.IsNotExist(err) == replaced {
			t.Errorf("replaced: %v; afterwards: %v", replaced, err)
		}
	}
}

func TestMetricsListenersGoAlong(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "m.sock")
	for _, addr := range []string{"127.0.0.1:0", "unix:" + path} {
		ln, err := ListenMetrics(addr)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		metrics := NewMetrics(newFake(t), slog.New(slog.DiscardHandler))
		go func() { served <- metrics.Serve(ln) }()
		state, err := DetachMetrics(ln)
		if err != nil {
			t.Fatal(err)
		}
		closedOnExec(t, state.FD)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the server ended with %v", addr, err)
		}
		adopted, err := AdoptMetrics(throughJSON(t, state))
		if err != nil {
			t.Fatal(err)
		}
		if got := adopted.Addr().String(); got != ln.Addr().String() {
			t.Errorf("%s became %s", ln.Addr(), got)
		}
		c, err := net.Dial(adopted.Addr().Network(), adopted.Addr().String())
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		} else {
			c.Close()
		}
		adopted.Close()
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Error("the socket is still there: ", err)
	}
}

func TestAdoptRefuses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	tcp, err := ListenMetrics("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state, err := DetachMetrics(tcp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Adopt(state, log); err == nil || !strings.Contains(err.Error(), "cannot adopt the control socket: it is at 127.0.0.1:") {
		t.Errorf("a TCP listener: %v", err)
	}
	file := func() int {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	if _, err := Adopt(ListenerState{FD: file()}, log); err == nil {
		t.Error("a file became a control socket")
	}
	if _, err := AdoptMetrics(ListenerState{FD: file()}); err == nil {
		t.Error("a file became a listener")
	}
	if _, err := Attach(file()); err == nil {
		t.Error("a file became a caller")
	}
}

func TestNobodyCalled(t *testing.T) {
	var c *Caller
	c.Say("x")
	c.End(errors.New("x"))
	fd, err := c.Detach()
	if fd != -1 || err != nil {
		t.Errorf("descriptor %d, %v", fd, err)
	}
	if c, err := Attach(fd); c != nil || err != nil {
		t.Errorf("attached %v, %v", c, err)
	}
}

func TestCallerOfAnUpgradeThatFails(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	asking := follow(t, "upgrade")
	(<-f.caller).End(errors.New("no such file"))
	if status := <-asking.returned; status != 1 || asking.errs.String() != "stickyd: no such file\n" {
		t.Errorf("exit status %d, %s", status, &asking.errs)
	}
}

// An upgrade does not depend on who asked for it.
func TestCallerThatGoesAwayOrDoesNotRead(t *testing.T) {
	ownPlace(t)
	f, _, ln := serve(t, "", port3000)
	asking := follow(t, "upgrade")
	c := <-f.caller
	asking.interrupt()
	if status := <-asking.returned; status != 1 || !strings.Contains(asking.errs.String(), "the operation goes on") {
		t.Errorf("exit status %d, %s", status, &asking.errs)
	}
	for c.conn != nil { // until it has noticed
		c.Say("x")
	}
	if fd, err := c.Detach(); fd != noCaller || err != nil {
		t.Errorf("descriptor %d, %v", fd, err)
	}
	resp, err := newClient(ln.Path()).do(context.Background(), "POST", "/v1/upgrade", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c = <-f.caller
	for long := strings.Repeat("x", 1<<20); c.conn != nil; { // fills the socket, and then waits for a second
		c.Say(long)
	}
	c.End(nil)
}
