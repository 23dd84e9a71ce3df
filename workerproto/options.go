package workerproto

import (
	"os"
	"syscall"
)

// This file is what code expects of a TCP connection beyond net.Conn, and asks
// for by an interface or by SyscallConn.

// SetNoDelay is net.TCPConn's. It is on from the beginning.
func (c *workerConn) SetNoDelay(on bool) error {
	c.touch()
	return c.setOption(syscall.IPPROTO_TCP, syscall.TCP_NODELAY, number(on))
}

// SetKeepAlive is net.TCPConn's. It is on from the beginning.
func (c *workerConn) SetKeepAlive(on bool) error {
	c.touch()
	return c.setOption(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, number(on))
}

// SetReadBuffer is net.TCPConn's.
func (c *workerConn) SetReadBuffer(bytes int) error {
	c.touch()
	return c.setOption(syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
}

// SetWriteBuffer is net.TCPConn's.
func (c *workerConn) SetWriteBuffer(bytes int) error {
	c.touch()
	return c.setOption(syscall.SOL_SOCKET, syscall.SO_SNDBUF, bytes)
}

// SetLinger is net.TCPConn's. With 0, Close resets the connection. What is more
// than 0 is taken for less: what was written is sent in the background. The
// option belongs to the open file, and the last close, which would wait for so
// long, may be stickyd's.
func (c *workerConn) SetLinger(seconds int) error {
	c.touch()
	c.abort.Store(seconds == 0)
	l := syscall.Linger{Onoff: int32(number(seconds == 0))}
	return c.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &l))
	})
}

func number(on bool) int {
	if on {
		return 1
	}
	return 0
}

// CloseRead shuts down the reading side.
func (c *workerConn) CloseRead() error {
	c.touch()
	return c.shutdown(syscall.SHUT_RD)
}

// CloseWrite shuts down the writing side, as net/http does before it closes a
// connection whose client is still sending.
func (c *workerConn) CloseWrite() error {
	c.touch()
	return c.shutdown(syscall.SHUT_WR)
}

// SyscallConn returns the raw connection. Bytes that came with the connection
// (of one that another worker had) are not in the socket.
func (c *workerConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, c.wrap("raw", err)
	}
	return rawConn{c, raw}, nil
}

// A rawConn is a connection's descriptor for somebody whose doings we don't
// see: a byte may be read, the descriptor be duplicated for another process.
// So once it was used, Close no more than closes. (That SyscallConn was called
// says little: io.Copy calls it.)
type rawConn struct {
	c   *workerConn
	raw syscall.RawConn
}

func (r rawConn) Control(f func(fd uintptr)) error {
	r.c.expose()
	return r.c.wrap("raw-control", r.raw.Control(f))
}

func (r rawConn) Read(f func(fd uintptr) (done bool)) error {
	r.c.expose()
	r.c.heard.end() // what is read so is not heard
	return r.c.wrap("raw-read", r.raw.Read(f))
}

func (r rawConn) Write(f func(fd uintptr) (done bool)) error {
	r.c.expose()
	return r.c.wrap("raw-write", r.raw.Write(f))
}

func (c *workerConn) expose() {
	c.touch()
	c.exposed.Store(true)
}
