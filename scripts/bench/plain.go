//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// plainFront is the obvious way to write such a front in Go: Accept, a
// goroutine for each connection, a peek through the poller, a lookup, and one
// sendmsg. It knows no acknowledgement, window, time limit or return, all of
// which stickyd has, and a request may overtake the registration of its
// session.
func plainFront(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		log.Fatal(err)
	}
	a := &plainAcceptor{owners: map[string]*plainLink{}}
	for range n {
		a.startWorker()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	sayListening(ln.Addr())
	for {
		conn, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go a.route(conn.(*net.TCPConn))
	}
}

type plainAcceptor struct {
	workers []*plainLink
	turn    atomic.Uint32 // whose turn it is

	mu     sync.RWMutex
	owners map[string]*plainLink
}

// A plainLink is the socket to one worker.
type plainLink struct {
	mu   sync.Mutex
	conn *fdpass.Conn
}

func (a *plainAcceptor) startWorker() {
	parent, child, err := fdpass.Pair(nil)
	if err != nil {
		log.Fatal(err)
	}
	argv := untold(os.Args[0], "play-link-worker")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	child.Close()
	link := &plainLink{conn: parent}
	a.workers = append(a.workers, link)
	go a.learn(link)
}

// learn reads the session ids that a worker tells.
func (a *plainAcceptor) learn(link *plainLink) {
	lines := bufio.NewScanner(linkReader{link.conn})
	for lines.Scan() {
		a.mu.Lock()
		a.owners[lines.Text()] = link
		a.mu.Unlock()
	}
	log.Fatal("a worker has ended")
}

// A linkReader reads the bytes that come over a link.
type linkReader struct{ conn *fdpass.Conn }

func (r linkReader) Read(b []byte) (n int, err error) {
	waitErr := r.conn.OnReadable(func() poll.Next {
		n, _, err = r.conn.TryReceive(b, nil)
		return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
	})
	if waitErr != nil {
		return 0, io.EOF
	}
	return n, err
}

// route hands a connection to the owner of its session.
func (a *plainAcceptor) route(conn *net.TCPConn) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	w := a.owner(peekSession(raw))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.OnWritable(context.Background(), func() poll.Next {
		var err error
		raw.Control(func(fd uintptr) { _, err = w.conn.TrySend([]byte{0}, []int{int(fd)}) })
		return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
	})
}

// owner returns the worker of a session, or the one whose turn it is.
func (a *plainAcceptor) owner(sid []byte) *plainLink {
	a.mu.RLock()
	w := a.owners[string(sid)]
	a.mu.RUnlock()
	if w == nil {
		w = a.workers[a.turn.Add(1)%uint32(len(a.workers))]
	}
	return w
}

// peekSession waits for the request line and returns the session id in it.
func peekSession(raw interface {
	Read(func(uintptr) bool) error
}) (sid []byte) {
	buf := make([]byte, 4096)
	raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != nil || n <= 0 {
			return !errors.Is(err, unix.EAGAIN)
		}
		line, _, whole := bytes.Cut(buf[:n], []byte("\r\n"))
		if _, after, ok := bytes.Cut(line, []byte("sid=")); ok {
			sid, _, _ = bytes.Cut(after, []byte(" "))
		}
		return whole
	})
	return sid
}
