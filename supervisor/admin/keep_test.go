package admin

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keptEndpoints serve a control socket until the test ends. Only the test looks
// after it, and not the clock.
func keptEndpoints(t *testing.T, path string) (e *Endpoints, log *bytes.Buffer) {
	t.Helper()
	pause := keepPause
	keepPause = time.Hour
	t.Cleanup(func() { keepPause = pause })
	log = new(bytes.Buffer)
	e = NewEndpoints(newFake(t), slog.New(slog.NewTextHandler(log, nil)))
	if err := e.OpenControl(path, port3000); err != nil {
		t.Fatal(err)
	}
	e.Start()
	t.Cleanup(func() { e.Finish(nil) })
	return e, log
}

// answers fails the test unless the control socket at path is e's.
func answers(t *testing.T, e *Endpoints, path string) {
	t.Helper()
	if got := e.Control(); got != path {
		t.Errorf("the control socket is %s, and was %s", got, path)
	}
	if status, _, errs := command("status", "--control", path); status != 0 {
		t.Errorf("exit status %d, %s", status, errs)
	}
	if e.control.dir == "" {
		return
	}
	if status, _, errs := command("status"); status != 0 {
		t.Errorf("it is not found: %s", errs)
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// Who removes the control socket, or its directory, takes it away for some seconds
// at most.
func TestControlSocketThatIsRemovedIsOpenedAgain(t *testing.T) {
	ownPlace(t)
	e, log := keptEndpoints(t, "auto")
	path := e.Control()
	for _, gone := range []string{path, filepath.Dir(path)} {
		removeAll(t, gone)
		e.lookAfterControl()
		answers(t, e, path)
	}
	e.lookAfterControl()
	if n := strings.Count(log.String(), "it is there again"); n != 2 {
		t.Errorf("it was opened %d times:\n%s", n, log)
	}
	e.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("it was left behind")
	}
}

// As where a user has logged out.
func TestControlSocketWhosePlaceIsGoneMoves(t *testing.T) {
	ownPlace(t)
	run := filepath.Join(publicDirectory, "run-of-user")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", run)
	e, _ := keptEndpoints(t, "auto")
	name := filepath.Base(e.Control())
	removeAll(t, run)
	e.lookAfterControl()
	if dir := filepath.Dir(filepath.Dir(e.Control())); dir != publicDirectory && dir != filepath.Dir(systemDirectory) {
		t.Error("it is in ", dir)
	}
	answers(t, e, filepath.Join(filepath.Dir(e.Control()), name))
}

// What another program has put there is its own, and the log says so once.
func TestControlSocketIsNotTakenFromOthers(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "control")
	for _, given := range []string{path, "auto"} {
		t.Run(given, func(t *testing.T) {
			e, log := keptEndpoints(t, given)
			path := e.Control()
			removeAll(t, path)
			other, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			its, err := identify(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				e.lookAfterControl()
			}
			if now, err := identify(path); err != nil || now != its {
				t.Errorf("it was replaced: %v", err)
			}
			if n := strings.Count(log.String(), "stickyd itself listens there already"); n != 1 {
				t.Errorf("that was said %d times:\n%s", n, log)
			}
			other.Close() // and it is removed
			e.lookAfterControl()
			answers(t, e, path)
		})
	}
}

// A socket that is removed while another program takes over is opened there.
func TestControlSocketThatIsRemovedInAnUpgrade(t *testing.T) {
	ownPlace(t)
	before, _ := keptEndpoints(t, "auto")
	path := before.Control()
	before.Freeze()
	removeAll(t, path)
	state := throughJSON(t, before.Detach())
	before.Release()
	e := NewEndpoints(newFake(t), slog.New(slog.DiscardHandler))
	e.Restore(state)
	e.Start()
	defer e.Finish(nil)
	e.lookAfterControl()
	answers(t, e, path)
}

// It is opened under its new name where clients connect elsewhere meanwhile.
func TestControlSocketThatIsRemovedGetsItsNewName(t *testing.T) {
	ownPlace(t)
	e, log := keptEndpoints(t, "auto")
	path := filepath.Join(filepath.Dir(e.Control()), nameFor(&net.TCPAddr{Port: 4000})+suffix)
	removeAll(t, e.Control())
	e.Follow(&net.TCPAddr{Port: 4000})
	e.lookAfterControl()
	answers(t, e, path)
	if strings.Contains(log.String(), "could not be renamed") {
		t.Error(log)
	}
}

func TestControlSocketIsLookedAfter(t *testing.T) {
	ownPlace(t)
	pause := keepPause
	keepPause = time.Millisecond
	defer func() { keepPause = pause }()
	e := NewEndpoints(newFake(t), slog.New(slog.DiscardHandler))
	if err := e.OpenControl("auto", port3000); err != nil {
		t.Fatal(err)
	}
	e.Start()
	defer e.Finish(nil)
	path := e.Control()
	removeAll(t, path)
	for late := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Lstat(path); err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal("it was not opened again")
		}
	}
	answers(t, e, path)
}
