package admin

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// A Running is the stickyd that is asked. Its methods must not wait.
type Running interface {
	Status() Status
	Stop() // as a signal does
}

// A Server answers on the control socket.
type Server struct {
	running Running
	http    *http.Server

	ended   chan struct{} // closed by Finish
	outcome Progress      // the last line of who waits for that
	telling sync.WaitGroup

	mu   sync.Mutex
	over bool // Finish was called: nobody is added to telling
}

// NewServer returns a server for r.
func NewServer(r Running, log *slog.Logger) *Server {
	s := &Server{running: r, ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("POST /v1/stop", s.stop)
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

// Serve serves ln until it is closed, which the error says then.
func (s *Server) Serve(ln *Listener) error { return s.http.Serve(ln) }

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

// stop says what is waited for, until Finish says how it ended.
func (s *Server) stop(rw http.ResponseWriter, r *http.Request) {
	told := s.tells()
	defer told()
	s.running.Stop()
	rw.Header().Set("Content-Type", "application/x-ndjson")
	lines, flush := json.NewEncoder(rw), http.NewResponseController(rw)
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for {
		lines.Encode(Progress{Message: remaining(s.running.Status())})
		flush.Flush()
		select {
		case <-tick.C:
		case <-s.ended:
			lines.Encode(s.outcome)
			flush.Flush()
			told()
			<-r.Context().Done() // the end of the process comes first, as a rule
			return
		case <-r.Context().Done():
			return // who asked waits no longer; it goes on
		}
	}
}

// remaining says what stickyd waits for before it ends.
func remaining(s Status) string {
	workers, sessions := 0, 0
	for _, w := range s.Workers {
		if w.PID != 0 {
			workers++
			sessions += w.Sessions
		}
	}
	return fmt.Sprintf("stopping: %d workers with %d sessions are left", workers, sessions)
}

func fail(rw http.ResponseWriter, status int, err error) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(map[string]string{"error": err.Error()})
}
