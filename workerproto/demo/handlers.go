package demo

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A server is one worker's HTTP side.
type server struct {
	sessions *sessions
	slot     int // 0 without stickyd
	workers  int
	pid      int
	started  time.Time
	kill     func() // ends this process
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", s.open)
	mux.HandleFunc("GET /session", s.show)
	mux.HandleFunc("POST /increment", s.increment)
	mux.HandleFunc("POST /kill", s.killed)
	mux.HandleFunc("GET /whoami", s.whoami)
	s.addPage(mux)
	// Another site's page must not open sessions here.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		guarded.ServeHTTP(rw, r)
	})
}

// An answer is what every request but those for the page gets.
type answer struct {
	Error string `json:"error,omitempty"`

	Worker   int    `json:"worker"` // slot of who answers
	Workers  int    `json:"workers"`
	PID      int    `json:"pid"`
	Started  int64  `json:"started"`             // when the process was up, in ms since 1970
	Sessions int    `json:"sessions"`            // that live in it, of all pages
	Port     int    `json:"port,omitempty"`      // the client's: it names the connection
	KilledAt int64  `json:"killed_at,omitempty"` // ms since 1970
	SID      string `json:"sid,omitempty"`
	Count    int    `json:"count"`
	Age      int64  `json:"age"` // of the session, in ms
}

// from returns what is the same in all answers to r.
func (s *server) from(r *http.Request) answer {
	a := answer{
		Worker: s.slot, Workers: s.workers, PID: s.pid,
		Started: s.started.UnixMilli(), Sessions: s.sessions.len(),
	}
	if _, port, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		a.Port, _ = strconv.Atoi(port)
	}
	return a
}

func (a *answer) describe(st state) {
	a.SID, a.Count, a.Age = st.id, st.count, st.age.Milliseconds()
}

// reply writes a whole response: with its length, so that it needs no end.
func reply(rw http.ResponseWriter, status int, a answer) {
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // there is nothing in an answer that could not be encoded
	}
	h := rw.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	rw.Write(body)
}

// leave closes the connection behind the answer. stickyd chooses a worker for
// a connection, and then for each request with a session's id; a request
// without one stays with whoever has the connection. So that the next one is
// balanced too, it has to come on a new connection.
func leave(rw http.ResponseWriter) { rw.Header().Set("Connection", "close") }

func (s *server) open(rw http.ResponseWriter, r *http.Request) {
	leave(rw)
	st, err := s.sessions.open(r.Context())
	a := s.from(r)
	switch {
	case errors.Is(err, errFull):
		a.Error = err.Error()
		reply(rw, http.StatusServiceUnavailable, a)
	case err != nil:
		a.Error = err.Error()
		reply(rw, http.StatusInternalServerError, a)
	default:
		a.describe(st)
		reply(rw, http.StatusOK, a)
	}
}

func (s *server) show(rw http.ResponseWriter, r *http.Request)      { s.use(rw, r, 0) }
func (s *server) increment(rw http.ResponseWriter, r *http.Request) { s.use(rw, r, 1) }

func (s *server) use(rw http.ResponseWriter, r *http.Request, add int) {
	a, ok := s.find(rw, r, add)
	if ok {
		reply(rw, http.StatusOK, a)
	}
}

// find looks for the request's session; if it is not here, find answers.
func (s *server) find(rw http.ResponseWriter, r *http.Request, add int) (answer, bool) {
	st, ok := s.sessions.use(r.URL.Query().Get("sid"), add)
	a := s.from(r)
	if !ok {
		a.Error = "session unknown"
		reply(rw, http.StatusNotFound, a)
		return a, false
	}
	a.describe(st)
	return a, true
}

// killed answers while it still can. The flush hands the whole answer to the
// kernel, which delivers it whatever becomes of the process.
func (s *server) killed(rw http.ResponseWriter, r *http.Request) {
	a, ok := s.find(rw, r, 0)
	if !ok {
		return
	}
	leave(rw)
	a.KilledAt = time.Now().UnixMilli()
	reply(rw, http.StatusAccepted, a)
	http.NewResponseController(rw).Flush()
	s.kill()
}

func (s *server) whoami(rw http.ResponseWriter, r *http.Request) {
	leave(rw)
	reply(rw, http.StatusOK, s.from(r))
}
