package front

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// foreign returns a listening socket as another program leaves it: blocking,
// inherited by whom is executed, and with no options set.
func foreign(t *testing.T, sa unix.Sockaddr) (fd int) {
	t.Helper()
	family := unix.AF_INET
	switch sa.(type) {
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	case *unix.SockaddrUnix:
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, 100)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// bothWays runs a test with a loop and without.
func bothWays(t *testing.T, test func(t *testing.T, l *poll.Loop)) {
	t.Run("loop", func(t *testing.T) {
		l, err := poll.NewLoop()
		if err != nil {
			t.Fatal(err)
		}
		go l.Run()
		defer l.Close()
		test(t, l)
	})
	t.Run("runtime", func(t *testing.T) { test(t, nil) })
}

// serve returns what ends serving, and then waits until it has ended.
func serve(t *testing.T, f *Front, ln *Listener) (ended func()) {
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	return func() {
		t.Helper()
		if err := <-served; err != nil {
			t.Error("serving ended with", err)
		}
	}
}

func TestServesAnInheritedSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct {
		name string
		sa   unix.Sockaddr
	}{
		{"tcp4", &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}},
		{"tcp6", &unix.SockaddrInet6{Addr: [16]byte{15: 1}}},
		{"unix", &unix.SockaddrUnix{Name: path}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, l *poll.Loop) {
				os.Remove(path)
				fd := foreign(t, tt.sa)
				ln, err := FromFD(fd, l)
				if err != nil {
					t.Fatal(err)
				}
				expectFlags(t, fd)
				if _, ok := tt.sa.(*unix.SockaddrUnix); !ok {
					expectOptions(t, fd)
				} else if ln.Addr().String() != path || !ln.IsAt("unix:"+path) {
					t.Errorf("it is at %v", ln.Addr())
				}
				f, _ := newFront(t)
				ended := serve(t, f, ln)
				if got := ask(ln.Addr(), true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("got %q", got)
				}
				if ln.Written() != "" {
					t.Errorf("written %q", ln.Written())
				}
				f.Stop(t.Context(), []*Listener{ln})
				ended()
				if _, ok := tt.sa.(*unix.SockaddrUnix); ok {
					if _, err := os.Lstat(path); err != nil {
						t.Error("the other program's file:", err)
					}
				}
			})
		})
	}
}

func expectFlags(t *testing.T, fd int) {
	t.Helper()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it is inherited: flags %#x, %v", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("it blocks: flags %#x, %v", flags, err)
	}
}

func expectOptions(t *testing.T, fd int) {
	t.Helper()
	for _, o := range []struct{ level, name int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	} {
		if value, err := unix.GetsockoptInt(fd, o.level, o.name); err != nil || value == 0 {
			t.Errorf("option %+v is %d, %v", o, value, err)
		}
	}
}

func TestSaysWhyADescriptorIsNoListener(t *testing.T) {
	socket := func(family, kind int) int {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	file, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	seq := socket(unix.AF_UNIX, unix.SOCK_SEQPACKET)
	unix.Bind(seq, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")})
	unix.Listen(seq, 1)
	const closed = 1 << 20
	for _, tt := range []struct {
		name string
		fd   int
		want string
	}{
		{"closed", closed, "it is not open"},
		{"file", file, "it is no socket"},
		{"datagrams", socket(unix.AF_INET, unix.SOCK_DGRAM), errNoStream.Error()},
		{"listens for packets", seq, errNoStream.Error()},
		{"TCP that does not listen", socket(unix.AF_INET, unix.SOCK_STREAM), errNoListen.Error()},
		{"Unix that does not listen", socket(unix.AF_UNIX, unix.SOCK_STREAM), errNoListen.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := unix.FcntlInt(uintptr(tt.fd), unix.F_GETFL, 0)
			ln, err := FromFD(tt.fd, nil)
			if err == nil {
				t.Fatal("accepted: ", ln.Addr())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q", err, tt.want)
			}
			if tt.fd != closed {
				if after, err := unix.FcntlInt(uintptr(tt.fd), unix.F_GETFL, 0); err != nil || after != before {
					t.Errorf("flags were %#x and are %#x: %v", before, after, err)
				}
				unix.Close(tt.fd)
			}
		})
	}
}

// Clients of a listener that was detached wait for whoever takes it over, and no
// one is refused.
func TestDetachedListenerGoesOnQueueing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, addr := range []string{"127.0.0.1:0", "unix:" + path} {
		t.Run(addr, func(t *testing.T) {
			bothWays(t, func(t *testing.T, l *poll.Loop) {
				ln, err := Listen(addr, l)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := newFront(t)
				ended := serve(t, f, ln)
				at := ln.Addr()
				state, err := ln.Detach()
				if err != nil {
					t.Fatal(err)
				}
				ended()
				if _, err := ln.Detach(); !errors.Is(err, os.ErrClosed) {
					t.Error("detached twice:", err)
				}
				answers := make(chan string)
				for range 10 {
					go func() { answers <- ask(at, true) }()
				}
				expectFlags(t, state.FD)
				again, err := RestoreListener(throughJSON(t, state), l)
				if err != nil {
					t.Fatal(err)
				}
				if again.Written() != addr || again.Addr().String() != at.String() {
					t.Errorf("written %q, at %s", again.Written(), again.Addr())
				}
				ended = serve(t, f, again)
				for range 10 {
					if got := <-answers; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
						t.Errorf("got %q", got)
					}
				}
				f.Stop(t.Context(), []*Listener{again})
				ended()
				if _, err := os.Lstat(path); err == nil {
					t.Error("our own file is left behind")
				}
			})
		})
	}
}
