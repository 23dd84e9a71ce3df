package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// plainFront is the obvious way to write such a front in Go: Accept, a
// goroutine for each connection, a peek through the poller, a lookup, and one
// sendmsg. It knows no registration, acknowledgement, window, time limit or
// return, all of which stickyd has.
func plainFront(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		log.Fatal(err)
	}
	workers := make([]*plainLink, n)
	for i := range workers {
		workers[i] = startPlainWorker()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "{\"msg\":\"listening\",\"addr\":%q}\n", ln.Addr())
	for {
		conn, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go route(conn.(*net.TCPConn), workers)
	}
}

// A plainLink is the socket to one worker.
type plainLink struct {
	mu   sync.Mutex
	conn *fdpass.Conn
}

func startPlainWorker() *plainLink {
	parent, child, err := fdpass.Pair(nil)
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "play-plain-worker")
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	child.Close()
	return &plainLink{conn: parent}
}

func route(conn *net.TCPConn, workers []*plainLink) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 4096)
	var sid []byte
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
	sum := 0
	for _, c := range sid {
		sum += int(c)
	}
	w := workers[sum%len(workers)]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.OnWritable(context.Background(), func() poll.Next {
		var err error
		raw.Control(func(fd uintptr) { _, err = w.conn.TrySend([]byte{0}, []int{int(fd)}) })
		return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
	})
}
