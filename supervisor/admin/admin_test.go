package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var port3000 = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3000}

// ownPlace lets sockets be in a directory of the test's.
func ownPlace(t *testing.T) {
	dir, err := os.MkdirTemp("", "stickyd-admin-") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	system, public := systemDirectory, publicDirectory
	systemDirectory, publicDirectory = filepath.Join(dir, "run"), dir
	t.Cleanup(func() { systemDirectory, publicDirectory = system, public })
}

// serve runs a server with the given control socket until the test ends.
func serve(t *testing.T, path string, clients net.Addr) (*fake, *Server, *Listener) {
	t.Helper()
	f := newFake(t)
	f.status = Status{Version: "v1", PID: 7, Sessions: 3, Listen: []string{clients.String()}}
	ln, err := Listen(path, clients, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return f, serveOn(t, f, ln), ln
}

// serveOn runs a server for f until the test ends, and closes ln then.
func serveOn(t *testing.T, f *fake, ln *Listener) *Server {
	s := NewServer(f, slog.New(slog.DiscardHandler))
	ran := make(chan error, 1)
	go func() { ran <- s.Serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		s.http.Close()
		if err := <-ran; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if ln.Path() != "" {
			t.Error("the socket was not removed: ", ln.Path())
		}
	})
	return s
}

// command runs a command and returns what it printed.
func command(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = perform(context.Background(), args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

func TestStatusFindsTheOneThatRuns(t *testing.T) {
	ownPlace(t)
	if status, _, errs := command("status"); status != 1 || !strings.Contains(errs, "no stickyd of yours is running; ") {
		t.Errorf("with none: exit status %d, %q", status, errs)
	}
	serve(t, "", port3000)
	status, out, errs := command("status")
	if status != 0 || !strings.HasPrefix(out, "stickyd v1, pid 7, ") || errs != "" {
		t.Fatalf("exit status %d, %q, %q", status, out, errs)
	}
	_, out, _ = command("status", "--json")
	var s Status
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Sessions != 3 {
		t.Errorf("JSON: %v, %+v", err, s)
	}
}

func TestSeveralAreToldApart(t *testing.T) {
	ownPlace(t)
	serve(t, "", port3000)
	serve(t, "", &net.UnixAddr{Name: "/tmp/clients.sock", Net: "unix"})
	tcp, unix := "3000-"+strconv.Itoa(os.Getpid()), "unix-"+strconv.Itoa(os.Getpid())
	status, _, errs := command("status")
	if status != 1 || !strings.Contains(errs, "several are running: "+tcp+", "+unix+"; say which with --control "+tcp) {
		t.Errorf("exit status %d, %q", status, errs)
	}
	for _, control := range []string{"3000", tcp} {
		if status, out, errs := command("status", "--control", control); status != 0 || !strings.Contains(out, "127.0.0.1:3000") {
			t.Errorf("by %s: exit status %d, %q, %q", control, status, out, errs)
		}
	}
	if status, _, errs := command("status", "--control", "300"); status != 1 || !strings.Contains(errs, "no stickyd of yours has the port or pid 300; running are, by port and pid: "+tcp) {
		t.Errorf("by a port that is nobody's: exit status %d, %q", status, errs)
	}
}

// One that still ends has the same port as the next one.
func TestTheNextOneAtThePort(t *testing.T) {
	ownPlace(t)
	_, _, ln := serve(t, "", port3000)
	next := filepath.Join(filepath.Dir(ln.Path()), "3000-1.sock")
	serve(t, next, port3000)
	if status, _, errs := command("status", "--control", "3000"); status != 1 || !strings.Contains(errs, "several are running: 3000-1, 3000-") {
		t.Errorf("exit status %d, %q", status, errs)
	}
}

func TestCloseLeavesWhatIsNotOurs(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	old, err := Listen(path, port3000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path) // somebody tidied up
	serve(t, path, port3000)
	old.Close()
	if status, _, errs := command("status", "--control", path); status != 0 {
		t.Errorf("exit status %d, %s", status, errs)
	}
}

func TestStopWaitsForTheEnd(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	f, s, _ := serve(t, path, port3000)
	f.remaining = "waiting for 1 worker with 2 sessions"
	out := &lineWriter{lines: make(chan string, 10)}
	returned := make(chan int, 1)
	go func() { returned <- Command([]string{"stop", "--control", path}, out, io.Discard) }()
	<-f.stopped
	s.Finish(nil)
	for _, want := range []string{"stopping: waiting for 1 worker with 2 sessions\n", "stopped\n"} {
		if got := <-out.lines; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	select {
	case <-returned:
		t.Fatal("it did not wait for the end of the process")
	case <-time.After(20 * time.Millisecond): // time enough for one that does not
	}
	s.http.Close() // as the end of the process does
	if status := <-returned; status != 0 {
		t.Error("exit status ", status)
	}
}

// A lineWriter passes on what is written.
type lineWriter struct{ lines chan string }

func (w *lineWriter) Write(b []byte) (int, error) {
	w.lines <- string(b)
	return len(b), nil
}

func TestStopTellsOfAFailure(t *testing.T) {
	ownPlace(t)
	f, s, _ := serve(t, "", port3000)
	go func() {
		<-f.stopped
		s.Finish(errors.New("no luck"))
		s.http.Close()
	}()
	if status, _, errs := command("stop"); status != 1 || !strings.Contains(errs, "it ended with an error: no luck") {
		t.Errorf("exit status %d, %q", status, errs)
	}
}

// An operation has succeeded only if stickyd says so.
func TestOperationThatIsNotReached(t *testing.T) {
	for said, want := range map[string]string{
		`{"message":"stopping"}`:            "the connection broke before stickyd said how that ended; was it killed?", // it was
		`{"message":"","error":"too late"}`: "too late",
	} {
		ownPlace(t)
		ln, err := Listen("", port3000, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s\n", said)
			c.Close()
		})
		err = newClient(ln.Path()).operate(context.Background(), "/v1/stop", nothing{}, func(string) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", said, err)
		}
		ln.Close()
		served.Wait()
	}
}

func TestSocketIsTheUsersAlone(t *testing.T) {
	ownPlace(t)
	_, _, ln := serve(t, "", port3000)
	for path, want := range map[string]os.FileMode{ln.Path(): 0o600, filepath.Dir(ln.Path()): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
}

// In /tmp anybody may have made the directory.
func TestDirectoryOfOthersIsNotUsed(t *testing.T) {
	ownPlace(t)
	for _, dir := range directories() {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if ln, err := Listen("", port3000, slog.New(slog.DiscardHandler)); err == nil {
		ln.Close()
		t.Error("a directory that others may read was used")
	} else if !strings.Contains(err.Error(), "is not a directory that only this user may enter") {
		t.Error(err)
	}
}

func TestListenClearsUpAfterTheKilled(t *testing.T) {
	ownPlace(t)
	dir, err := ownDirectory()
	if err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "4000"+suffix)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	serve(t, "", port3000)
	if _, err := os.Lstat(stale); !os.IsNotExist(err) {
		t.Error("the socket of one that was killed is still there: ", err)
	}
}

func TestListenRefuses(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	serve(t, path, port3000)
	if _, err := Listen(path, port3000, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "stickyd itself listens there already") {
		t.Errorf("a path in use: %v", err)
	}
	file := filepath.Join(publicDirectory, "precious")
	os.WriteFile(file, []byte("x"), 0o600)
	if _, err := Listen(file, port3000, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "a file that is not a socket of this user's is there") {
		t.Errorf("a file: %v", err)
	}
	datagrams := filepath.Join(publicDirectory, "log")
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagrams, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := Listen(datagrams, port3000, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "a file that is not a socket of this user's is there") {
		t.Errorf("somebody else's socket: %v", err)
	}
	if _, err := os.Lstat(datagrams); err != nil {
		t.Error("it is gone: ", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "x" {
		t.Error("the file is gone")
	}
}

func TestFollowRenames(t *testing.T) {
	ownPlace(t)
	_, _, ln := serve(t, "", port3000)
	if err := ln.Follow(&net.TCPAddr{Port: 4000}); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := command("status", "--control", "4000"); status != 0 {
		t.Errorf("exit status %d, %s", status, errs)
	}
}

func TestOneThatHangsIsNamed(t *testing.T) {
	ownPlace(t)
	limit := answerLimit
	answerLimit = 20 * time.Millisecond
	defer func() { answerLimit = limit }()
	ln, err := Listen("", port3000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // nobody accepts
	if status, _, errs := command("status"); status != 1 || !strings.Contains(errs, "has not answered within 20ms; is it stopped, or hung?") {
		t.Errorf("exit status %d, %q", status, errs)
	}
}

func TestUnknownRequestsGetAnError(t *testing.T) {
	ownPlace(t)
	_, _, ln := serve(t, "", port3000)
	_, err := newClient(ln.Path()).do(context.Background(), "POST", "/v1/dance", nil)
	if err == nil || err.Error() != "no POST /v1/dance here; is the stickyd that runs older than this one?" {
		t.Errorf("error %v", err)
	}
}
