package front

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// Clients come all the time while one of two listeners is closed: who connects
// is answered.
func TestCloseOfOneListenerResetsNobody(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		t.Run(addr, func(t *testing.T) {
			bothWays(t, func(t *testing.T, l *poll.Loop) {
				f, _ := newFront(t)
				closing, other := listenAt(t, addr, l), listenAt(t, "127.0.0.1:0", l)
				closed, otherClosed := serve(t, f, closing), serve(t, f, other)
				var clients sync.WaitGroup
				for range 4 {
					clients.Go(func() { askUntilClosed(t, closing.Addr()) })
				}
				eventually(t, "clients come", func() bool { return f.Stats.Accepted.Load() > 100 })
				ctx, cancel := context.WithCancel(t.Context())
				go func() { clients.Wait(); cancel() }()
				if err := f.Close(ctx, closing); err != nil {
					t.Error(err)
				}
				closed()
				if got := ask(other.Addr(), true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("the other one answered %q", got)
				}
				f.Stop(t.Context(), []*Listener{other})
				otherClosed()
			})
		})
	}
}

func listenAt(t *testing.T, addr string, l *poll.Loop) *Listener {
	t.Helper()
	ln, err := Listen(addr, l)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// askUntilClosed asks until nobody lets it connect.
func askUntilClosed(t *testing.T, at net.Addr) {
	for {
		conn, err := net.DialTimeout(at.Network(), at.String(), 200*time.Millisecond)
		if err != nil {
			return
		}
		io.WriteString(conn, request)
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("got %q, %v", got, err)
		}
		conn.Close()
	}
}

// A client that has connected and said nothing is still with the kernel
// (TCP_DEFER_ACCEPT), and is let in before the end.
func TestCloseLetsSilentClientsIn(t *testing.T) {
	f, _ := newFront(t)
	ln := listenAt(t, "127.0.0.1:0", nil)
	closed := serve(t, f, ln)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- f.Close(ctx, ln) }()
	eventually(t, "the kernel waits no longer for what clients say", func() bool {
		fd, err := ln.fd.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		defer ln.fd.Release()
		seconds, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
		return seconds == 0
	})
	eventually(t, "the silent client is accepted", func() bool { return f.Stats.Accepted.Load() > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	closed()
	io.WriteString(client, request)
	if got, err := io.ReadAll(client); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("afterwards:", err)
	}
}

// Without patience, those in the queue are accepted at least.
func TestCloseAcceptsWhatIsInTheQueue(t *testing.T) {
	f, _ := newFront(t)
	ln, answer := queued(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Close(ctx, ln)
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
}

// Another program that has the socket goes on with it.
func TestCloseLeavesAnInheritedSocketUsable(t *testing.T) {
	fd := foreign(t, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := newFront(t)
	for _, fd := range []int{fd, copied} {
		ln, err := FromFD(fd, nil)
		if err != nil {
			t.Fatal(err)
		}
		closed := serve(t, f, ln)
		if got := ask(ln.Addr(), true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("got %q", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.Close(ctx, ln)
		closed()
	}
}
