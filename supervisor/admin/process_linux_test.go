package admin

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A stickyd is found by its pid, wherever its control socket is; but one that has
// that port comes first.
func TestControlIsAPID(t *testing.T) {
	ownPlace(t)
	pid := strconv.Itoa(os.Getpid())
	clients, err := net.Listen("unix", filepath.Join(publicDirectory, "clients.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	if status, _, errs := command("status", "--control", pid); status != 1 || !strings.Contains(errs, "no stickyd of yours is running") {
		t.Errorf("with none: exit status %d, %q", status, errs)
	}
	f, _, elsewhere := serve(t, filepath.Join(publicDirectory, "c.sock"), port3000)
	f.status.PID, f.status.Version = os.Getpid(), "elsewhere"
	if status, out, errs := command("status", "--control", pid); status != 0 || !strings.Contains(out, "stickyd elsewhere,") {
		t.Errorf("where --control put it: exit status %d, %q, %q", status, out, errs)
	}
	if err := clients.(*net.UnixListener).SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Accept(); err == nil {
		t.Error("what clients connect to was asked")
	}
	f, _, usual := serve(t, "", port3000)
	f.status.Version = "usual"
	if status, out, errs := command("status", "--control", pid); status != 0 || !strings.Contains(out, "stickyd usual,") {
		t.Errorf("by its name: exit status %d, %q, %q", status, out, errs)
	}
	f, _, _ = serve(t, "", &net.TCPAddr{Port: os.Getpid()})
	f.status.Version = "port"
	if status, out, errs := command("status", "--control", pid); status != 0 || !strings.Contains(out, "stickyd port,") {
		t.Errorf("by port: exit status %d, %q, %q", status, out, errs)
	}
	usual.Close()
	elsewhere.Close()
}

// Of a process that hangs it is said that it does.
func TestProcessThatHangs(t *testing.T) {
	ownPlace(t)
	patience, limit := lookPatience, answerLimit
	lookPatience, answerLimit = 20*time.Millisecond, 40*time.Millisecond
	defer func() { lookPatience, answerLimit = patience, limit }()
	ln, err := Listen(filepath.Join(publicDirectory, "c.sock"), port3000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // nobody accepts
	if status, _, errs := command("status", "--control", strconv.Itoa(os.Getpid())); status != 1 || !strings.Contains(errs, "has not answered") {
		t.Errorf("exit status %d, %q", status, errs)
	}
}
