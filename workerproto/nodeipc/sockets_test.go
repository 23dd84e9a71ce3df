package nodeipc

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsAreSharedAndClosedAfterTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct{ network, addr string }{
		{"tcp", ":0"}, {"tcp4", "127.0.0.1:0"}, {"unix", path}, {"udp4", "127.0.0.1:0"},
	} {
		t.Run(tt.network, func(t *testing.T) {
			s := NewSockets(slog.New(slog.DiscardHandler))
			open := func(nth int) (name string, release func()) {
				fd, release, err := s.Open(tt.network, tt.addr, nth)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				return localName(t, fd), release
			}
			one, release1 := open(0)
			two, release2 := open(0)
			if one != two {
				t.Errorf("the same name opened %s and %s", one, two)
			}
			release1()
			release1()
			three, release3 := open(0)
			if three != one {
				t.Errorf("the name opened %s, then %s, and the first is in use", one, three)
			}
			if tt.network != "unix" {
				if other, release := open(1); other == one {
					t.Error("the second of its like is the first")
				} else {
					release()
				}
			}
			release2()
			release3()
			if len(s.open) != 0 {
				t.Error("open at the end:", s.open)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Error("the Unix socket's file is still there")
			}
		})
	}
}

// localName tells bound sockets apart.
func localName(t *testing.T, fd int) string {
	t.Helper()
	dup, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(dup), "")
	defer f.Close()
	if ln, err := net.FileListener(f); err == nil {
		defer ln.Close()
		return ln.Addr().String()
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().String()
}

func TestSocketsSayWhyNot(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := NewSockets(slog.New(slog.DiscardHandler))
	if _, _, err := s.Open("tcp4", ln.Addr().String(), 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error("opened where another listens:", err)
	}
	if len(s.open) != 0 {
		t.Error("open:", s.open)
	}
}

func TestSocketsKnowWhereTheyServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct {
		network, addr string
		want          bool
	}{
		{"tcp4", "127.0.0.1:0", true}, {"tcp", ":0", true}, {"unix", path, true},
		{"udp4", "127.0.0.1:0", false}, // nobody is connected there
	} {
		t.Run(tt.network, func(t *testing.T) {
			old, heir := NewSockets(slog.New(slog.DiscardHandler)), NewSockets(slog.New(slog.DiscardHandler))
			fd, release, err := old.Open(tt.network, tt.addr, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			at := localName(t, fd)
			if tt.network == "unix" {
				at = "unix:" + at
			}
			if got := old.Serve(at); got != tt.want {
				t.Errorf("a client at %s: %t", at, got)
			}
			heir.Restore(old.State())
			if got := heir.Serve(at); got != tt.want {
				t.Errorf("a client at %s, for who has taken over: %t", at, got)
			}
			release()
			heir.Settle()
			if heir.Serve(at) {
				t.Error("it is closed")
			}
		})
	}
}
