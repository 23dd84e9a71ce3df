package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// A Server answers on the control socket.
type Server struct {
	running Running
	http    *http.Server

	serving sync.WaitGroup // Serve
	frozen  chan struct{}  // closed by Freeze
	ended   chan struct{}  // closed by Finish
	outcome Progress       // the last line of who waits for that
	telling sync.WaitGroup

	mu     sync.Mutex
	over   bool // Finish was called: nobody is added to telling
	closed bool // Freeze was called: nobody is added to serving
}

// NewServer returns a server for r.
func NewServer(r Running, log *slog.Logger) *Server {
	s := &Server{running: r, frozen: make(chan struct{}), ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/logs", s.logs)
	mux.HandleFunc("GET /v1/events", s.events)
	mux.HandleFunc("POST /v1/explain", s.explain)
	mux.HandleFunc("POST /v1/stop", s.stop)
	mux.HandleFunc("POST /v1/restart", operate(s, "restarted", r.Restart))
	mux.HandleFunc("POST /v1/scale", operate(s, "scaled", r.Scale))
	mux.HandleFunc("POST /v1/drain", operate(s, "drained", func(d drainRequest, say func(string)) error { return r.Drain(d.Slot, say) }))
	mux.HandleFunc("POST /v1/reload", operate(s, "reloaded", func(_ nothing, say func(string)) error { return r.Reload(say) }))
	mux.HandleFunc("POST /v1/cancel", operate(s, "", func(_ nothing, say func(string)) error { return r.Cancel(say) }))
	mux.HandleFunc("POST /v1/upgrade", s.upgrade)
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		fail(rw, http.StatusNotFound, fmt.Errorf("no %s %s here", r.Method, r.URL.Path))
	})
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve serves ln until it is closed, or Freeze was called, which the error says
// then. It does not close ln.
func (s *Server) Serve(ln *Listener) error {
	s.mu.Lock()
	if s.closed { // ln is another server's by now
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	ln.SetDeadline(time.Time{}) // of a server before this one
	return s.http.Serve(keptOpen{ln})
}

// keptOpen is a listener that outlives its server.
type keptOpen struct{ *Listener }

// Close ends Accept, and no more.
func (k keptOpen) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

// Freeze ends Serve, leaves who comes from now on in the listener's queue, and
// returns when nobody is answered any more, after lastWords at the latest. Who
// follows a history is told to ask again. Callers of an upgrade are not touched.
func (s *Server) Freeze() {
	late, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	close(s.frozen)
	s.http.Shutdown(late)
	s.serving.Wait()
	s.http.Shutdown(late) // of what was accepted meanwhile
	s.http.Close()
}

// lastWords is how long those may take who are told of the end.
const lastWords = time.Second

// Finish tells those who wait for stickyd's end how it came to it. What it was
// asked to tell them last is told when it returns. Their connections stay open:
// that these break off is how they know that the process has ended, too.
func (s *Server) Finish(err error) {
	s.outcome = Progress{Message: "stopped", Done: true}
	if err != nil {
		s.outcome = Progress{Error: "it ended with an error: " + err.Error()}
	}
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	close(s.ended)
	told := make(chan struct{})
	go func() {
		s.telling.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(lastWords): // somebody does not read
	}
}

func (s *Server) status(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(s.running.Status())
}

// explain gets the id in the body, raw: addresses are logged in many places.
func (s *Server) explain(rw http.ResponseWriter, r *http.Request) {
	id, err := body(rw, r)
	if err == nil && len(id) == 0 {
		err = errors.New("the body, which is to be the session id, is empty")
	}
	if err != nil {
		fail(rw, http.StatusBadRequest, err)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(s.running.Explain(id))
}

// progressPause is the time between two lines of progress.
const progressPause = time.Second

// tells lets Finish wait until told is called.
func (s *Server) tells() (told func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return func() {}
	}
	s.telling.Add(1)
	return sync.OnceFunc(s.telling.Done)
}

// stop says what is waited for, and again when that has changed, until Finish says
// how it ended.
func (s *Server) stop(rw http.ResponseWriter, r *http.Request) {
	told := s.tells()
	defer told()
	s.running.Stop()
	to := newLines(rw)
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for said := fmt.Stringer(nil); ; {
		if now := s.running.Remaining(); now != said {
			said = now
			to.Encode(Progress{Message: "stopping: " + now.String()})
			to.Flush()
		}
		select {
		case <-tick.C:
		case <-s.ended:
			to.Encode(s.outcome)
			to.Flush()
			told()
			<-r.Context().Done() // the end of the process comes first, as a rule
			return
		case <-s.frozen:
			to.Encode(Progress{Error: "stickyd is being upgraded; ask again"})
			return
		case <-r.Context().Done():
			return // who asked waits no longer; it goes on
		}
	}
}
