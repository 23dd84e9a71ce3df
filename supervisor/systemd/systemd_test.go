package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// manager opens what a service manager would and returns what it hears.
func manager(t *testing.T) (heard func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "stickyd-systemd-") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		b := make([]byte, 1024)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal("the manager heard nothing: ", err)
		}
		return string(b[:n])
	}
}

func newManager(t *testing.T) *Manager {
	t.Helper()
	m, err := New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManagerHears(t *testing.T) {
	heard := manager(t)
	m := newManager(t)
	m.Ready()
	m.Ready() // is not said twice
	m.Stopping(90 * time.Second)
	for _, want := range []string{"READY=1", "STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000"} {
		if got := heard(); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

func TestReloadIsTold(t *testing.T) {
	heard := manager(t)
	m := newManager(t)
	m.Reloading()() // before it is ready
	m.Ready()
	before := daemon.SdNotifyMonotonicUsec()
	done := m.Reloading()
	m.Ready() // a worker of many
	done()
	after := daemon.SdNotifyMonotonicUsec()
	if got := heard(); got != "READY=1" {
		t.Errorf("heard %q first", got)
	}
	said := heard()
	at, ok := strings.CutPrefix(said, "RELOADING=1\n")
	if !ok || number(t, at) < number(t, before) || number(t, at) > number(t, after) {
		t.Errorf("heard %q, between %s and %s", said, before, after)
	}
	if got := heard(); got != "READY=1" {
		t.Errorf("heard %q at the end", got)
	}
}

// number returns N of MONOTONIC_USEC=N.
func number(t *testing.T, assignment string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscanf(assignment, "MONOTONIC_USEC=%d", &n); err != nil {
		t.Errorf("%q: %v", assignment, err)
	}
	return n
}

func TestWatchSaysWhatChanges(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	m := newManager(t)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		m.Watch(ctx, func(context.Context) bool { return true }, func() string { return "2 of 2" })
	})
	for _, want := range []string{"STATUS=2 of 2", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"} { // the status once
		if got := heard(); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	cancel()
	watching.Wait()
}

func TestNoSignOfLifeFromTheDead(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	m := newManager(t)
	m.beat(context.Background(), func(ctx context.Context) bool {
		<-ctx.Done()
		return false
	})
	m.tell("END=1")
	if got := heard(); got != "END=1" {
		t.Errorf("heard %q of one that hangs", got)
	}
}

func TestWithoutAManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m := newManager(t)
	m.Ready()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.Watch(ctx, nil, nil) // calls neither
}

func TestBadWatchdogIsNamed(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := New(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "WATCHDOG_USEC") {
		t.Errorf("error %v", err)
	}
}
