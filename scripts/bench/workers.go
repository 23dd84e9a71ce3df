package main

import (
	"crypto/rand"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// stickydWorker is a worker of stickyd.
func stickydWorker() {
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(w.Serve(&http.Server{Handler: handler(func(r *http.Request, sid string) { w.Bind(r.Context(), sid) })}))
}

// plainWorker is one of the plain acceptor: it gets bare descriptors.
func plainWorker() {
	conn, err := fdpass.Adopt(3)
	if err != nil {
		log.Fatal(err)
	}
	ln := &fdListener{conn: conn, conns: make(chan net.Conn, 256)}
	go ln.receive()
	log.Fatal(http.Serve(ln, handler(func(*http.Request, string) {})))
}

func handler(bind func(r *http.Request, sid string)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/handshake", func(rw http.ResponseWriter, r *http.Request) {
		sid := rand.Text()[:20]
		bind(r, sid)
		io.WriteString(rw, sid)
	})
	mux.HandleFunc("/poll", func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "6") })
	return mux
}

// An fdListener accepts the connections whose descriptors come in.
type fdListener struct {
	conn  *fdpass.Conn
	conns chan net.Conn
}

func (l *fdListener) receive() {
	buf := make([]byte, 1)
	l.conn.OnReadable(func() poll.Next {
		for {
			_, fds, err := l.conn.TryReceive(buf, nil)
			for _, fd := range fds {
				f := os.NewFile(uintptr(fd), "conn")
				if c, err := net.FileConn(f); err == nil {
					l.conns <- c
				}
				f.Close()
			}
			if err != nil {
				return poll.Until(err == io.EOF)
			}
		}
	})
	os.Exit(0)
}

func (l *fdListener) Accept() (net.Conn, error) { return <-l.conns, nil }
func (l *fdListener) Close() error              { return l.conn.Close() }
func (l *fdListener) Addr() net.Addr            { return &net.UnixAddr{Name: "plain"} }
