package workerproto

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Serve serves HTTP on the worker's connections, as srv.Serve does, and adds
// what a session needs:
//
//   - A client may use one kept-alive connection for several sessions, as
//     browsers and proxies do. When the next request on a connection carries
//     the id of a session that is not this worker's, the connection goes back
//     to stickyd, with every byte that was read, and from there to the owner.
//     The handler does not see that request.
//   - Once stickyd has stopped or is gone, Serve lets open requests finish, in
//     the time that stickyd gave or a few seconds, and returns nil.
//
// It changes srv.Handler and srv.ConnContext, so it is called once for a
// server. Connections that a handler has hijacked (WebSockets) are its own:
// they never go back, and Serve does not wait for them; see Draining.
func (w *Worker) Serve(srv *http.Server) error {
	if w.conn == nil {
		return srv.Serve(w.Listener)
	}
	next := srv.Handler
	if next == nil {
		next = http.DefaultServeMux
	}
	var fresh atomic.Int64 // connections whose first request is still to come
	srv.Handler = &handback{worker: w, next: next, fresh: &fresh}
	base := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if wc, ok := c.(*workerConn); ok {
			fresh.Add(1)
			wc.fresh = &fresh
		}
		if base != nil {
			ctx = base(ctx, c)
		}
		return context.WithValue(ctx, connKey{}, c)
	}
	err := srv.Serve(w)
	if !errors.Is(err, ErrEnded) {
		return err
	}
	return w.finish(srv, &fresh)
}

// orphanGrace is how long open requests have when stickyd is gone and nobody
// said how long: stickyd's guardian kills a little later.
const orphanGrace = 4 * time.Second

// finish lets open requests end. A connection that has just come is waited for
// as well, for a while: Shutdown would drop its first request.
func (w *Worker) finish(srv *http.Server, fresh *atomic.Int64) error {
	until := time.Now().Add(orphanGrace)
	if ns := w.deadline.Load(); ns != 0 {
		until = time.Unix(0, ns)
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(orphanGrace)
	for waiting := true; waiting && fresh.Load() > 0; {
		select {
		case <-poll.C:
		case <-patience:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("open requests were cut off: %w", err)
	}
	return nil
}

// A handback is the handler that gives away requests for other workers'
// sessions.
type handback struct {
	worker *Worker
	next   http.Handler
	fresh  *atomic.Int64
}

// serverBuffer is the size of net/http's read buffer: at most so much of what
// was read belongs to later requests.
const serverBuffer = 4 << 10

func (h *handback) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c := connOf(r.Context())
	if c == nil {
		h.next.ServeHTTP(rw, r)
		return
	}
	// stickyd has routed the first request, so it is ours even if its session
	// is nobody's: it must not go round in circles.
	if first := c.settle(); !first && h.foreign(r) && c.sendBack(rw, r) {
		return
	}
	c.heard.keep(serverBuffer)
	defer c.heard.keep(MaxReplay)
	h.next.ServeHTTP(rw, r)
}

// foreign reports whether r belongs to a session that is not this worker's.
func (h *handback) foreign(r *http.Request) bool {
	var buf [MaxID]byte
	id := h.worker.sources.FromRequest(buf[:], r.RequestURI, r.Header)
	if id == nil || h.worker.ids.has(id) {
		return false
	}
	select {
	case <-h.worker.ended:
		return false // there is nobody to give it to
	default:
		return true
	}
}

// sendBack returns the connection to stickyd with the request r on it, of
// which no more than the head has been read on purpose. It reports whether the
// connection is gone, successfully or not.
func (c *workerConn) sendBack(rw http.ResponseWriter, r *http.Request) bool {
	hijacked, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return false // not a connection that can be moved
	}
	unanswered, err := c.unanswered(r, buffered.Reader)
	if err == nil {
		err = c.giveBack(unanswered)
	} else {
		const answer = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
		hijacked.Write([]byte(answer))
		hijacked.Close()
	}
	if err != nil {
		slog.Warn("cannot return a connection to stickyd", "client", c.RemoteAddr().String(), "err", err)
	}
	return true
}

// unanswered returns what was read from the beginning of r on: the server's
// buffer and, before it, the head of r, which begins with its request line.
func (c *workerConn) unanswered(r *http.Request, buffered *bufio.Reader) ([]byte, error) {
	heard := c.heard.last()
	if end := len(heard) - buffered.Buffered(); end > 0 {
		line := r.Method + " " + r.RequestURI + " " + r.Proto
		if start := lastLine(heard[:end], []byte(line)); start >= 0 {
			return heard[start:], nil
		}
	}
	return nil, fmt.Errorf("the request's head has more than %d bytes", MaxReplay-serverBuffer)
}

// lastLine returns where in b the last line that equals line begins, or -1.
// In what ends with a request's head the last line that equals its request
// line is its request line: net/http accepts no field name with a space.
func lastLine(b, line []byte) int {
	for end := len(b); ; {
		i := bytes.LastIndex(b[:end], line)
		if i < 0 {
			return -1
		}
		rest := b[i+len(line):]
		if (i == 0 || b[i-1] == '\n') && (bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n"))) {
			return i
		}
		end = i + len(line) - 1
	}
}
