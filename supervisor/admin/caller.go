package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Caller is who asked for an upgrade and waits for its end. The connection is
// nobody else's, and can go along into the process that takes over. That the
// caller went away, or does not read, is no error. The nil Caller is nobody.
// Methods may be called from any goroutine.
type Caller struct {
	mu   sync.Mutex
	conn *net.UnixConn // nil: it ended, was detached, or the caller went away
}

// callerHead begins the answer. Its body ends with the connection, since another
// process may end it, which knows nothing of chunks.
const callerHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"

// callerPatience is how long a caller may take to read.
const callerPatience = time.Second

// newCaller begins an answer on conn, which it owns.
func newCaller(conn *net.UnixConn) *Caller {
	c := &Caller{conn: conn}
	c.write([]byte(callerHead))
	return c
}

// write wants the lock, unless nobody else has c yet.
func (c *Caller) write(b []byte) {
	if c.conn == nil {
		return
	}
	c.conn.SetWriteDeadline(time.Now().Add(callerPatience))
	if _, err := c.conn.Write(b); err != nil {
		c.drop()
	}
}

func (c *Caller) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *Caller) tell(p Progress) {
	line, _ := json.Marshal(p)
	c.write(append(line, '\n'))
}

// Say tells the caller how it goes.
func (c *Caller) Say(message string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(Progress{Message: message})
}

// End tells the caller that it is done, or why it was not reached, and closes the
// connection. What is called afterwards does nothing.
func (c *Caller) End(err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(outcomeOf(err, "upgraded"))
	c.drop()
}

// noCaller stands for the descriptor of nobody.
const noCaller = -1

// Detach takes the connection out of c. The descriptor is whoever's called, and
// close-on-exec until that clears it; it is -1 if there is no caller any more.
func (c *Caller) Detach() (fd int, err error) {
	if c == nil {
		return noCaller, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return noCaller, nil
	}
	if fd, err = duplicate(c.conn); err != nil {
		return noCaller, fmt.Errorf("cannot hand over the connection of the command that asked for the upgrade: %w", err)
	}
	c.drop()
	return fd, nil
}

// Attach makes a Caller again of what Detach returned, nobody of -1. It owns the
// descriptor from then on, also if there is an error.
func Attach(fd int) (*Caller, error) {
	if fd == noCaller {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), "caller")
	if file == nil {
		return nil, fmt.Errorf("cannot take over the connection of the command that asked for the upgrade: %w", syscall.EBADF)
	}
	defer file.Close()
	conn, err := net.FileConn(file) // has a duplicate, which is close-on-exec
	if err != nil {
		return nil, fmt.Errorf("cannot take over the connection of the command that asked for the upgrade: %w", err)
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("cannot take over the connection of the command that asked for the upgrade: it is at %s", conn.RemoteAddr())
	}
	return &Caller{conn: unix}, nil
}
