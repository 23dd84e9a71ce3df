package workerproto

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
)

// acceptOne returns an accepted connection and the client's end. stickyd has
// no copy of the descriptor.
func acceptOne(t *testing.T) (*workerConn, *net.TCPConn) {
	t.Helper()
	w, p := startWorker(t)
	client := p.hand(1, 0, "")
	return accept(t, w), client
}

// noise is a file of n random bytes, and they.
func noise(t *testing.T, n int) (*os.File, []byte) {
	t.Helper()
	want := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(want)
	name := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, want
}

// received reads to the end in the background.
func received(c net.Conn) <-chan []byte {
	result := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(c)
		result <- b
	}()
	return result
}

func TestConnSendsWhatItReadsFrom(t *testing.T) {
	const size = 20 << 20 // more than the socket's buffers hold
	file, want := noise(t, size)
	for _, tt := range []struct {
		name     string
		reader   func() io.Reader
		want     []byte
		sendfile bool
		left     int64 // of a LimitedReader
	}{
		{"a file", func() io.Reader { return file }, want, true, 0},
		{"a file from the middle", func() io.Reader { file.Seek(1000, io.SeekStart); return file }, want[1000:], true, 0},
		{"a part of a file", func() io.Reader { return &io.LimitedReader{R: file, N: 12345} }, want[:12345], true, 0},
		{"nothing of a file", func() io.Reader { return &io.LimitedReader{R: file} }, nil, false, 0},
		{"more than a file", func() io.Reader { return &io.LimitedReader{R: file, N: size + 1} }, want, true, 1},
		{"a file at its end", func() io.Reader { file.Seek(0, io.SeekEnd); return file }, nil, false, 0},
		{"memory", func() io.Reader { return bytes.NewReader(want) }, want, false, 0},
		{"a connection", func() io.Reader { return connOfBytes(t, want) }, want, false, 0},
		{"a pipe", func() io.Reader { return pipeOfBytes(t, want) }, want, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, client := acceptOne(t)
			got := received(client)
			file.Seek(0, io.SeekStart)
			r := tt.reader()
			if n, err := c.ReadFrom(r); n != int64(len(tt.want)) || err != nil {
				t.Errorf("%d bytes, want %d: %v", n, len(tt.want), err)
			}
			if l, ok := r.(*io.LimitedReader); ok && l.N != tt.left {
				t.Errorf("%d bytes are left to read, want %d", l.N, tt.left)
			}
			c.Close()
			if got := <-got; !bytes.Equal(got, tt.want) {
				t.Errorf("%d bytes came, or others than were sent", len(got))
			}

			c, client = acceptOne(t)
			received(client)
			file.Seek(0, io.SeekStart)
			if _, handled, err := c.sendFile(tt.reader()); handled != tt.sendfile {
				t.Errorf("by sendfile: %t, want %t: %v", handled, tt.sendfile, err)
			}
		})
	}
}

// connOfBytes returns a connection whose peer sends b.
func connOfBytes(t *testing.T, b []byte) net.Conn {
	client, fd := connect(t)
	f := os.NewFile(uintptr(fd), "")
	go func() {
		f.Write(b)
		f.Close()
	}()
	return client
}

func pipeOfBytes(t *testing.T, b []byte) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	go func() {
		w.Write(b)
		w.Close()
	}()
	return r
}

// net/http sends a file by the connection's ReadFrom.
func TestServeSendsFiles(t *testing.T) {
	file, want := noise(t, 3<<20)
	_, p := startServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.ServeContent(rw, r, "noise", time.Time{}, file)
	}))
	b := p.browse(1, 0, "")
	for range 2 {
		b.send(get("/"))
		b.wants(string(want))
	}
}

// A writer that waits in sendfile has a deadline, as any.
func TestConnErrorsAreNets(t *testing.T) {
	file, _ := noise(t, 20<<20)
	buf := make([]byte, 20<<20)
	past := time.Unix(1, 0)
	for _, tt := range []struct {
		name   string
		before func(c *workerConn, client *net.TCPConn)
		do     func(c *workerConn) error
		want   error
	}{
		{"read too late", func(c *workerConn, _ *net.TCPConn) { c.SetReadDeadline(past) },
			func(c *workerConn) error { _, err := c.Read(buf); return err }, os.ErrDeadlineExceeded},
		{"write too late", func(c *workerConn, _ *net.TCPConn) { c.SetWriteDeadline(past) },
			func(c *workerConn) error { _, err := c.Write(buf); return err }, os.ErrDeadlineExceeded},
		{"sendfile too late", func(c *workerConn, _ *net.TCPConn) { c.SetDeadline(past) },
			func(c *workerConn) error { _, err := c.ReadFrom(file); return err }, os.ErrDeadlineExceeded},
		{"sendfile to who does not read", func(c *workerConn, _ *net.TCPConn) { c.SetDeadline(time.Now().Add(50 * time.Millisecond)) },
			func(c *workerConn) error { _, err := c.ReadFrom(file); return err }, os.ErrDeadlineExceeded},
		{"read of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { _, err := c.Read(buf); return err }, net.ErrClosed},
		{"write of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { _, err := c.Write(buf); return err }, net.ErrClosed},
		{"sendfile of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { _, err := c.ReadFrom(file); return err }, net.ErrClosed},
		{"option of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { return c.SetNoDelay(true) }, net.ErrClosed},
		{"deadline of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { return c.SetDeadline(past) }, net.ErrClosed},
		{"close of what is closed", func(c *workerConn, _ *net.TCPConn) { c.Close() },
			func(c *workerConn) error { return c.Close() }, net.ErrClosed},
		{"closed while it reads", func(c *workerConn, _ *net.TCPConn) { time.AfterFunc(20*time.Millisecond, func() { c.Close() }) },
			func(c *workerConn) error { _, err := c.Read(buf); return err }, net.ErrClosed},
		{"reset by the client", func(_ *workerConn, client *net.TCPConn) { client.SetLinger(0); client.Close() },
			func(c *workerConn) error { _, err := c.Read(buf); return err }, syscall.ECONNRESET},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, client := acceptOne(t)
			tt.before(c, client)
			err := tt.do(c)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), "stickyd-conn") || !strings.Contains(err.Error(), client.LocalAddr().String()) {
				t.Errorf("%v: does not say which connection it was", err)
			}
			var opErr *net.OpError
			if op, _, _ := strings.Cut(tt.name, " "); (op == "read" || op == "write") && (!errors.As(err, &opErr) || opErr.Op != op) {
				t.Errorf("%v: does not say that it was a %s", err, op)
			}
			var netErr net.Error
			if timeout := tt.want == os.ErrDeadlineExceeded; !errors.As(err, &netErr) || netErr.Timeout() != timeout {
				t.Errorf("%#v: want a net.Error that is a timeout: %t", err, timeout)
			}
		})
	}
}

func TestConnHasAddresses(t *testing.T) {
	for _, tt := range []struct{ network, addr string }{
		{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"unix", filepath.Join(t.TempDir(), "s")},
	} {
		ln, err := net.Listen(tt.network, tt.addr)
		if err != nil {
			t.Log(err) // a machine without IPv6
			continue
		}
		defer ln.Close()
		client, err := net.Dial(tt.network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		w, p := startWorker(t)
		raw, _ := server.(syscall.Conn).SyscallConn()
		raw.Control(func(fd uintptr) { p.handFD(1, 0, "", int(fd)) })
		c := accept(t, w)
		c.Close() // they are known even so
		for _, pair := range [][2]net.Addr{{c.LocalAddr(), server.LocalAddr()}, {c.RemoteAddr(), server.RemoteAddr()}} {
			if got, want := pair[0], pair[1]; got.String() != want.String() || got.Network() != want.Network() {
				t.Errorf("%s: %v %v, want %v %v", tt.network, got.Network(), got, want.Network(), want)
			}
		}
	}
}

// A client that has gone has sent a request all the same.
func TestConnOfAClientThatHasGone(t *testing.T) {
	client, fd := connect(t)
	client.SetLinger(0)
	client.Close()
	w, p := startWorker(t)
	p.handFD(1, 0, "", fd)
	fdpass.Close(fd)
	c := accept(t, w)
	if c.RemoteAddr() == nil || c.LocalAddr() == nil {
		t.Error("an address is nil: its String would panic")
	}
}

// The client reads the end as soon as Close was called, although stickyd has a
// copy of the descriptor.
func TestConnCloseReachesTheClientAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		close func(c *workerConn)
	}{
		{"at once", func(c *workerConn) { c.Close() }},
		{"after a response", func(c *workerConn) { io.WriteString(c, "hello"); c.Close() }},
		{"after half of it", func(c *workerConn) { c.CloseWrite(); c.Close() }},
		{"with SO_LINGER", func(c *workerConn) { c.SetLinger(1); c.SetLinger(-1); c.Close() }},
		{"after io.Copy", func(c *workerConn) { file, _ := noise(t, 100); io.Copy(c, file); c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, fd := connect(t)
			w, p := startWorker(t)
			p.handFD(1, 0, "", fd)
			defer fdpass.Close(fd)
			io.WriteString(client, "unread") // as the rest of a request may be
			tt.close(accept(t, w))
			client.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.ReadAll(client); err != nil {
				t.Error("the client reads no end: ", err)
			}
			p.want(Ready)
			p.wantNumber(Taken, 1)
		})
	}
}

// What was given back is not closed for the client.
func TestConnGivenBackIsOpen(t *testing.T) {
	c, client := acceptOne(t)
	if err := c.giveBack(nil); err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client reads: ", err)
	}
}

// Nor is it by somebody who closes it while it goes back.
func TestConnOnItsWayBackIsOpen(t *testing.T) {
	w, p := startWorker(t)
	client := p.hand(1, 0, "")
	c := accept(t, w)
	c.touch()
	w.write.Lock() // it can't go
	var both sync.WaitGroup
	both.Go(func() { c.giveBack(nil) })
	eventually(t, c.exposed.Load)
	both.Go(func() { c.Close() })
	eventually(t, c.closed.Load)
	w.write.Unlock()
	both.Wait()
	client.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client reads: ", err)
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for late := time.Now().Add(deadline); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it never came to be")
		}
	}
}

func TestConnResetsWhereItWasToldTo(t *testing.T) {
	c, client := acceptOne(t)
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client reads %v, want a reset", err)
	}
}

// Somebody who duplicates the descriptor, to give it to another process, say,
// has a connection that Close does not touch.
// The last close may be stickyd's, whose loop must not wait for a client.
func TestConnDoesNotLinger(t *testing.T) {
	c, _ := acceptOne(t)
	var copied int
	c.control(func(fd int) error { copied = dup(t, fd); return nil })
	if err := c.SetLinger(1); err != nil {
		t.Fatal(err)
	}
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err := error(nil); err == nil; { // until nothing more fits
		_, err = c.Write(make([]byte, 64<<10))
	}
	c.Close()
	before := time.Now()
	unix.Close(copied)
	if took := time.Since(before); took > 500*time.Millisecond {
		t.Errorf("close took %v", took)
	}
}

func TestConnThatWasDuplicatedOutlivesClose(t *testing.T) {
	c, client := acceptOne(t)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	copied := -1
	raw.Control(func(fd uintptr) { copied, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) })
	f := os.NewFile(uintptr(copied), "copy")
	defer f.Close()
	c.Close()
	io.WriteString(f, "alive")
	if got := readString(t, client, 5); got != "alive" {
		t.Errorf("the client reads %q", got)
	}
}

// Whoever goes to the socket by another way than Read and Write has taken it,
// and what he reads is not known to be no request.
func TestConnIsTakenByWhoGoesToTheSocket(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(c *workerConn, raw syscall.RawConn) error
		lost bool
	}{
		{"Control", func(_ *workerConn, raw syscall.RawConn) error { return raw.Control(func(uintptr) {}) }, false},
		{"Write", func(_ *workerConn, raw syscall.RawConn) error { return raw.Write(func(uintptr) bool { return true }) }, false},
		{"Read", func(_ *workerConn, raw syscall.RawConn) error { return raw.Read(func(uintptr) bool { return true }) }, true},
		{"SetNoDelay", func(c *workerConn, _ syscall.RawConn) error { return c.SetNoDelay(false) }, false},
		{"SetKeepAlive", func(c *workerConn, _ syscall.RawConn) error { return c.SetKeepAlive(false) }, false},
		{"SetReadBuffer", func(c *workerConn, _ syscall.RawConn) error { return c.SetReadBuffer(1 << 16) }, false},
		{"SetWriteBuffer", func(c *workerConn, _ syscall.RawConn) error { return c.SetWriteBuffer(1 << 16) }, false},
		{"SetLinger", func(c *workerConn, _ syscall.RawConn) error { return c.SetLinger(3) }, false},
		{"CloseRead", func(c *workerConn, _ syscall.RawConn) error { return c.CloseRead() }, false},
		{"CloseWrite", func(c *workerConn, _ syscall.RawConn) error { return c.CloseWrite() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := startWorker(t)
			p.hand(1, 0, "")
			c := accept(t, w)
			c.heard.begin()
			p.want(Ready)
			raw, err := c.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			p.silence()
			if err := tt.do(c, raw); err != nil {
				t.Error(err)
			}
			if _, ok := p.heard(); !ok {
				t.Error("no TAKEN")
			}
			if c.heard.lost != tt.lost {
				t.Errorf("the wire is lost: %t", c.heard.lost)
			}
		})
	}
}

func TestConnSetsOptions(t *testing.T) {
	c, _ := acceptOne(t)
	option := func(level, name int) (value int) {
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { value, _ = unix.GetsockoptInt(int(fd), level, name) })
		return value
	}
	for _, on := range []bool{true, false} {
		c.SetNoDelay(on)
		c.SetKeepAlive(on)
		if option(unix.IPPROTO_TCP, unix.TCP_NODELAY) != number(on) || option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != number(on) {
			t.Errorf("TCP_NODELAY or SO_KEEPALIVE is not %t", on)
		}
	}
	for _, bytes := range []int{10_000, 20_000} {
		c.SetReadBuffer(bytes)
		c.SetWriteBuffer(bytes)
		if option(unix.SOL_SOCKET, unix.SO_RCVBUF) != 2*bytes || option(unix.SOL_SOCKET, unix.SO_SNDBUF) != 2*bytes { // socket(7): it doubles them
			t.Errorf("a buffer has not %d bytes", bytes)
		}
	}
}

// A connection that the poller does not take is declined as it was.
func TestConnThatCannotWaitIsDeclined(t *testing.T) {
	w, p := startWorker(t)
	_, fd := connect(t)
	unix.SetNonblock(fd, false)
	defer fdpass.Close(fd)
	p.handFD(1, 0, "", fd)
	p.hand(2, 0, "")
	accept(t, w)
	p.want(Ready)
	p.wantNumber(Decline, 1)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("status flags %#x (%v): the mode is not what it was", flags, err)
	}
}
