//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// linkWorker is a worker of the C loop and of the plain acceptor, as cheap as a
// plain design can be: bare descriptors come over the socket that is its
// descriptor 3, and session ids go back, one a line.
func linkWorker() {
	conn, err := fdpass.Adopt(3)
	if err != nil {
		log.Fatal(err)
	}
	ln := &linkListener{conn: conn, batches: make(chan []int, 256)}
	go ln.receive()
	log.Fatal(http.Serve(ln, newHandler(ln.tell)))
}

// A linkListener accepts the connections whose descriptors come in.
type linkListener struct {
	conn    *fdpass.Conn
	batches chan []int
	batch   []int // only Accept uses it

	mu sync.Mutex // so that lines stay whole
}

// receive takes all descriptors that are there at one time.
func (l *linkListener) receive() {
	buf := make([]byte, 253)
	l.conn.OnReadable(func() poll.Next {
		var fds []int
		var err error
		for err == nil {
			_, fds, err = l.conn.TryReceive(buf, fds)
		}
		if len(fds) > 0 {
			l.batches <- fds
		}
		return poll.Until(err == io.EOF)
	})
	os.Exit(0) // the front has ended
}

func (l *linkListener) Accept() (net.Conn, error) {
	if len(l.batch) == 0 {
		l.batch = <-l.batches
	}
	fd := l.batch[0]
	l.batch = l.batch[1:]
	return linkConn{os.NewFile(uintptr(fd), "client")}, nil
}

func (l *linkListener) Close() error   { return l.conn.Close() }
func (l *linkListener) Addr() net.Addr { return linkAddr }

// tell registers a session with the front, before its client knows it.
func (l *linkListener) tell(_ context.Context, sid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := []byte(sid + "\n")
	l.conn.OnWritable(context.Background(), func() poll.Next {
		n, err := l.conn.TrySend(line, nil)
		line = line[n:]
		return poll.Until(len(line) == 0 || err != nil && !errors.Is(err, fdpass.ErrWouldBlock))
	})
}

// A linkConn reads and writes a socket as a file, which is already on the
// poller: net.FileConn would copy the descriptor and ask for its addresses.
type linkConn struct{ *os.File }

var linkAddr = &net.UnixAddr{Name: "link", Net: "unix"}

func (linkConn) LocalAddr() net.Addr  { return linkAddr }
func (linkConn) RemoteAddr() net.Addr { return linkAddr }
