package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	ended   context.Context // done: the workers are gone
	end     context.CancelFunc
	http    *http.Server
}

// NewServer returns a server for r.
func NewServer(r Running, log *slog.Logger) *Server {
	s := &Server{running: r}
	s.ended, s.end = context.WithCancel(context.Background())
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

// lastWords is how long answers may take when stickyd is at its end.
const lastWords = time.Second

// Run serves ln, which it closes, until Ended was called.
func (s *Server) Run(ln *Listener) error {
	closed := make(chan error, 1)
	go func() { closed <- s.http.Serve(ln) }()
	select {
	case err := <-closed:
		return fmt.Errorf("control socket %s: %w", ln.Path(), err)
	case <-s.ended.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-closed
	return err
}

// Ended says that the workers are gone: who waits for that is told.
func (s *Server) Ended() { s.end() }

func (s *Server) status(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(s.running.Status())
}

// progressPause is the time between two lines of progress.
const progressPause = time.Second

// stop answers when the workers are gone.
func (s *Server) stop(rw http.ResponseWriter, r *http.Request) {
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
		case <-s.ended.Done():
			lines.Encode(Progress{Message: "stopped", Done: true})
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
