package workerproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// A workerConn is a connection that stickyd handed over. It is what the
// worker would have accepted itself, RemoteAddr included, and it remembers the
// last bytes that were read off it, so that a request can be given back.
type workerConn struct {
	net.Conn
	worker *Worker
	id     uint64

	// load is true while the connection counts as load of its own: neither
	// part of a session nor closed.
	load atomic.Bool

	// fresh counts the server's connections that wait for their first
	// request; nil once this one's has come.
	mu    sync.Mutex
	fresh *atomic.Int64

	replay []byte // what stickyd's side had read; only Read uses it
	heard  wire   // what Read returned

	returning bool // Hijack is called to give it back; only the server's goroutine uses it
}

// newWorkerConn takes ownership of a.fd, also when it fails.
func newWorkerConn(w *Worker, a arrival) (*workerConn, error) {
	f := os.NewFile(uintptr(a.fd), "stickyd-conn")
	defer f.Close() // FileConn makes a descriptor of its own
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	c := &workerConn{Conn: conn, worker: w, id: a.id, replay: a.replay}
	c.load.Store(!a.session)
	c.heard.end() // until Serve wants to know
	return c, nil
}

// touch makes sure that stickyd knows that the connection was taken, before
// the first byte is read or written: one that it believes untaken may go to
// another worker.
func (c *workerConn) touch() {
	if c.worker.acked.Load() < c.id {
		c.worker.sayTaken()
	}
}

func (c *workerConn) Read(b []byte) (n int, err error) {
	c.touch()
	if len(c.replay) > 0 {
		n = copy(b, c.replay)
		c.replay = c.replay[n:]
	} else {
		n, err = c.Conn.Read(b)
	}
	c.heard.write(b[:n])
	return n, err
}

func (c *workerConn) Write(b []byte) (int, error) {
	c.touch()
	return c.Conn.Write(b)
}

// ReadFrom lets net/http use sendfile and splice as on a plain connection.
func (c *workerConn) ReadFrom(r io.Reader) (int64, error) {
	c.touch()
	return io.Copy(c.Conn, r)
}

// CloseWrite shuts down the writing side, as net/http does before it closes a
// connection whose client is still sending.
func (c *workerConn) CloseWrite() error {
	c.touch()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *workerConn) Close() error {
	c.touch()
	err := c.Conn.Close()
	c.settle()
	if c.load.Swap(false) {
		c.worker.noteClosed()
	}
	return err
}

// settle notes that a request has come and reports whether it is the first.
func (c *workerConn) settle() (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		return false
	}
	c.fresh.Add(-1)
	c.fresh = nil
	return true
}

// adopt makes the connection part of a session; it reports whether it counted
// as load until now.
func (c *workerConn) adopt() bool { return c.load.Swap(false) }

// giveBack returns the connection to stickyd together with bytes that were
// read off it but not answered, and closes it here.
func (c *workerConn) giveBack(unanswered []byte) error {
	defer c.Conn.Close()
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("cannot return a %T", c.Conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var flags uint8
	if !c.load.Swap(false) {
		flags = FlagSession
	}
	unanswered = append(unanswered, c.replay...)
	ctlErr := raw.Control(func(fd uintptr) {
		err = c.worker.send(appendConn(nil, Return, flags, c.id, unanswered), int(fd))
	})
	return errors.Join(ctlErr, err)
}

// connKey is the context key under which Serve keeps a request's connection.
type connKey struct{}

func connOf(ctx context.Context) *workerConn {
	c, _ := ctx.Value(connKey{}).(*workerConn)
	return c
}
