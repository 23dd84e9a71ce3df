package supervisor

import (
	"sync"
	"time"

	"github.com/stickyd/stickyd/fdpass/procnet"
)

// clientSockets are the sockets that clients' connections are, whoever holds them.
// There may be very many, so that one look at them serves all workers that are
// looked at in its time. Safe for concurrent use.
type clientSockets struct {
	mu     sync.Mutex
	at     time.Time // when the look began
	fresh  time.Time // until then it will do
	inodes map[uint64]bool
	err    error
}

const (
	// clientsFresh is how old a look may be, and clientsRest how many times as long
	// as it took: it must not keep a processor busy.
	clientsFresh = finishCheck / 2
	clientsRest  = 10
)

// look returns the inodes of clients' sockets and when somebody has looked.
func (c *clientSockets) look(serves func(addr string) bool) (inodes map[uint64]bool, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.After(c.fresh) {
		c.at, c.inodes = now, make(map[uint64]bool)
		// They are in our network namespace, wherever the worker is.
		c.err = procnet.Each("/proc/self/net", func(s procnet.Socket) bool {
			if !s.Listens && serves(s.Addr()) {
				c.inodes[s.Inode] = true
			}
			return true
		})
		c.fresh = time.Now().Add(max(clientsFresh, clientsRest*time.Since(now)))
	}
	return c.inodes, c.at, c.err
}

// holdsClients reports whether a process of w's holds a client's connection, or did
// at that time. The error says that nobody can see that.
func (s *Supervisor) holdsClients(w *Worker) (held bool, at time.Time, err error) {
	at = time.Now()
	var sockets []uint64
	for _, p := range s.family(w) {
		open, err := procnet.Of(p.pid)
		if err != nil {
			return false, at, err
		}
		sockets = append(sockets, open...)
	}
	if len(sockets) == 0 {
		return false, at, nil
	}
	clients, at, err := s.clientSockets.look(s.spec.Serves)
	for _, inode := range sockets {
		held = held || clients[inode]
	}
	return held, at, err
}
