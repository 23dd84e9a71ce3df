package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// outcomeOf is the last line of an operation.
func outcomeOf(err error, done string) Progress {
	if err != nil {
		return Progress{Error: err.Error()}
	}
	return Progress{Message: done, Done: true}
}

// lines is an answer of lines of JSON. What was encoded is sent by Flush, or
// before.
type lines struct {
	*json.Encoder
	*http.ResponseController
}

func newLines(rw http.ResponseWriter) lines {
	rw.Header().Set("Content-Type", "application/x-ndjson")
	l := lines{json.NewEncoder(rw), http.NewResponseController(rw)}
	l.Flush() // the head: who asked sees that it was understood
	return l
}

// An operation goes on if who asked goes away, and does not wait for them either.
type operation struct {
	said  *logs.Ring[string]
	ended chan error // buffered 1: what it came to
}

func begin(do func(say func(string)) error) *operation {
	o := &operation{logs.NewLines(1000, 64<<10), make(chan error, 1)}
	go func() { o.ended <- do(o.said.Add) }()
	return o
}

// operate handles requests for an operation, whose last line is done, or what it
// has said last if that is "".
func operate[T any, P interface {
	*T
	check() error
}](s *Server, done string, do func(T, func(string)) error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		what, err := asked[T, P](rw, r)
		if err != nil {
			fail(rw, http.StatusBadRequest, err)
			return
		}
		told := s.tells()
		defer told()
		s.relay(r, begin(func(say func(string)) error { return do(what, say) }), done, newLines(rw))
	}
}

// relay passes on how an operation goes until it has ended, or nobody listens.
func (s *Server) relay(r *http.Request, o *operation, done string, to lines) {
	next, outcome := uint64(1), (*Progress)(nil)
	end := func(p Progress) { outcome = &p }
	for {
		said, first := o.said.From(next, 100)
		for _, message := range said {
			to.Encode(Progress{Message: message})
		}
		to.Flush()
		next = first + uint64(len(said))
		if len(said) > 0 {
			continue
		}
		if outcome != nil {
			to.Encode(*outcome)
			to.Flush()
			return
		}
		select {
		case <-o.said.Grown(next):
		case err := <-o.ended:
			end(outcomeOf(err, done))
		case <-s.ended:
			end(Progress{Error: "stickyd stopped before the operation ended"})
		case <-s.frozen:
			end(Progress{Error: "stickyd is being upgraded; the operation goes on, and stickyd status shows it"})
		case <-r.Context().Done():
			return
		}
	}
}

// upgrade hands who asked over to the upgrade.
func (s *Server) upgrade(rw http.ResponseWriter, r *http.Request) {
	what, err := asked[upgradeRequest](rw, r)
	if err != nil {
		fail(rw, http.StatusBadRequest, err)
		return
	}
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		fail(rw, http.StatusInternalServerError, fmt.Errorf("cannot keep the connection: %w", err))
		return
	}
	s.running.Upgrade(what.Binary, newCaller(conn.(*net.UnixConn)))
}
