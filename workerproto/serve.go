package workerproto

import (
	"context"
	"errors"
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
//   - While the worker drains, the same happens to the next request that has
//     no session's id: it might start one, which should live elsewhere.
//   - Once stickyd has stopped or is gone, Serve lets open requests finish, in
//     the time that stickyd gave or a few seconds.
//
// As srv.Serve does, it always returns an error: http.ErrServerClosed, and
// nothing wrapped around it, after that orderly end and after srv.Shutdown or
// srv.Close; one that is net.ErrClosed after w.Close. A program that exits with
// another status than 0 then, as log.Fatal(w.Serve(srv)) does, has not crashed
// in stickyd's eyes: it was to end.
//
// Connections are given back where they carry HTTP/1.1 as stickyd saw it: not
// from a TLS server in the worker, and not by http.Serve(w, handler), which
// serves each connection to its end. srv.ConnState sees http.StateHijacked when
// one goes back.
//
// It changes srv.Handler, srv.ConnContext, srv.ConnState and
// srv.DisableGeneralOptionsHandler, so it is called once for a server.
// Connections that a handler has hijacked (WebSockets) are its own: they never
// go back, and Serve does not wait for them; see Finishing.
func (w *Worker) Serve(srv *http.Server) error {
	if w.conn == nil {
		return srv.Serve(w.plain)
	}
	next := srv.Handler
	if next == nil {
		next = http.DefaultServeMux
	}
	var fresh atomic.Int64 // connections whose first request is still to come
	srv.Handler = &handback{worker: w, next: next, options: !srv.DisableGeneralOptionsHandler}
	srv.DisableGeneralOptionsHandler = true // or we would not see that request pass
	connContext, connState := srv.ConnContext, srv.ConnState
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if wc, ok := c.(*workerConn); ok {
			fresh.Add(1)
			wc.fresh.Store(&fresh)
			wc.heard.begin()
		}
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		return context.WithValue(ctx, connKey{}, c)
	}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if wc, ok := c.(*workerConn); ok && state == http.StateHijacked && !wc.returning {
			wc.heard.end() // it carries no more requests
		}
		if connState != nil {
			connState(c, state)
		}
	}
	err := srv.Serve(w)
	if !errors.Is(err, ErrEnded) {
		return err
	}
	w.finish(srv, &fresh)
	return http.ErrServerClosed
}

// freshGrace is how long a connection that has just come is waited for.
const freshGrace = 3 * time.Second

// finish lets open requests end, and says in the log where they don't in time. A
// connection that has just come is waited for as well, for a while: Shutdown
// would drop its first request.
func (w *Worker) finish(srv *http.Server, fresh *atomic.Int64) {
	ctx, cancel := context.WithDeadline(context.Background(), w.finishBy())
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(freshGrace)
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
		slog.Warn("open requests did not finish in time and are cut off", "err", err)
	}
}

// A handback is the handler that gives away requests for other workers'
// sessions.
type handback struct {
	worker  *Worker
	next    http.Handler
	options bool // answer OPTIONS * as net/http does
}

func (h *handback) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c := connOf(r.Context())
	if c == nil {
		h.next.ServeHTTP(rw, r)
		return
	}
	// stickyd has routed the first request, so it is ours even if its session
	// is nobody's: it must not go round in circles.
	if first := c.settle(); !first && h.elsewhere(c, r) {
		if h.worker.orphaned() {
			// Its owner may be at work still: "unknown" would be a lie.
			c.sayUnavailable(rw)
			return
		}
		c.sendBack(rw, r)
		return
	}
	if !c.heard.pass(r) {
		// Nobody knows where the next request begins, so it could not be
		// given back: there must not be one.
		rw.Header().Set("Connection", "close")
	}
	if h.options && r.Method == http.MethodOptions && r.RequestURI == "*" {
		rw.Header().Set("Content-Length", "0")
		return
	}
	h.next.ServeHTTP(rw, r)
}

// elsewhere reports whether r belongs to a session that is not this worker's,
// or to none while the worker drains. Of the latter, one that can't be given
// back is served.
func (h *handback) elsewhere(c *workerConn, r *http.Request) bool {
	var buf [MaxID]byte
	id := h.worker.sources.FromRequest(buf[:], r.RequestURI, r.Header)
	if id == nil {
		return h.worker.sessionsOnly() && c.heard.at(r)
	}
	return !h.worker.ids.has(id)
}

// sayUnavailable answers a request that there is nobody to give to.
func (c *workerConn) sayUnavailable(rw http.ResponseWriter) {
	rw.Header().Set("Connection", "close")
	rw.Header().Set("Retry-After", "1")
	http.Error(rw, "the server is shutting down", http.StatusServiceUnavailable)
}

// sendBack returns the connection to stickyd with the request r on it, of
// which no more than the head has been read on purpose.
func (c *workerConn) sendBack(rw http.ResponseWriter, r *http.Request) {
	if !c.heard.at(r) {
		rw.Header().Set("Connection", "close")
		http.Error(rw, "request head too large to be passed on", http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	c.returning = true
	// Hijack stops the server's reading ahead, so that nothing more comes.
	_, _, err := http.NewResponseController(rw).Hijack()
	if err == nil && !c.heard.at(r) {
		err = errors.New("what was read ahead is too much to be passed on")
	}
	if err == nil {
		err = c.giveBack(c.heard.unanswered())
	}
	if err != nil {
		c.Close()
		slog.Warn("cannot return a connection to stickyd", "client", c.RemoteAddr().String(), "err", err)
	}
}
