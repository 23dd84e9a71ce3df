package workerproto

import (
	"context"
	"io"
	"sync/atomic"
)

// A workerConn is a connection that stickyd handed over. It is what the
// worker would have accepted itself, RemoteAddr included, and it remembers the
// last bytes that were read off it, so that a request can be given back.
type workerConn struct {
	socket
	worker *Worker
	id     uint64

	// load is true while the connection counts as load of its own: neither
	// part of a session nor closed.
	load atomic.Bool

	abort   atomic.Bool // Close is to reset the connection
	exposed atomic.Bool // somebody has used the descriptor itself

	// fresh counts the server's connections that wait for their first
	// request; nil once this one's has come.
	fresh atomic.Pointer[atomic.Int64]

	replay []byte // what stickyd's side had read; only Read uses it
	heard  wire   // what Read returned

	returning bool // Hijack is called to give it back; only the server's goroutine uses it
}

// newWorkerConn takes ownership of a.fd, also when it fails.
func newWorkerConn(w *Worker, a arrival) (*workerConn, error) {
	c := &workerConn{worker: w, id: a.id, replay: a.replay}
	if err := c.open(a.fd); err != nil {
		return nil, err
	}
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
		n, err = c.socket.Read(b)
	}
	if n > 0 {
		c.heard.write(b[:n])
	}
	return n, err
}

func (c *workerConn) Write(b []byte) (int, error) {
	c.touch()
	return c.socket.Write(b)
}

// ReadFrom lets net/http use sendfile and splice as on a plain connection.
func (c *workerConn) ReadFrom(r io.Reader) (int64, error) {
	c.touch()
	return c.socket.ReadFrom(r)
}

// Close shuts the connection down before it closes the descriptor: stickyd
// has a copy until it has read our TAKEN, and the kernel tells the client of a
// close only at the last one. (Of SetLinger's reset it tells at the last one
// even so.)
func (c *workerConn) Close() error {
	c.touch()
	err := c.close(!c.abort.Load() && !c.exposed.Load())
	c.settle()
	if c.load.Swap(false) {
		c.worker.noteClosed()
	}
	return err
}

// settle notes that a request has come and reports whether it is the first.
func (c *workerConn) settle() (first bool) {
	if c.fresh.Load() == nil { // of all requests but one
		return false
	}
	fresh := c.fresh.Swap(nil)
	if fresh != nil {
		fresh.Add(-1)
	}
	return fresh != nil
}

// adopt makes the connection part of a session; it reports whether it counted
// as load until now.
func (c *workerConn) adopt() bool { return c.load.Swap(false) }

// giveBack returns the connection to stickyd together with bytes that were
// read off it but not answered, and closes it here.
func (c *workerConn) giveBack(unanswered []byte) error {
	c.exposed.Store(true) // the connection goes on, whoever closes this end of it
	defer c.close(false)
	var flags uint8
	if !c.load.Swap(false) {
		flags = FlagSession
	}
	unanswered = append(unanswered, c.replay...)
	return c.control(func(fd int) error {
		return c.worker.send(appendConn(nil, Return, flags, c.id, unanswered), fd)
	})
}

// connKey is the context key under which Serve keeps a request's connection.
type connKey struct{}

func connOf(ctx context.Context) *workerConn {
	c, _ := ctx.Value(connKey{}).(*workerConn)
	return c
}
