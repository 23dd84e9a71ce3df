// Command go-http is a plain net/http server that keeps sessions in memory: a
// count of visits for each visitor, who is known by a cookie. Run by itself it is one
// process; run by stickyd it is one of N, and each visitor always comes to the
// process that has the count. See README.md.
package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// cookieName is also what stickyd is told: --session cookie:session.
const cookieName = "session"

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen without stickyd")
	idle := flag.Duration("idle", 30*time.Minute, "how long a session lives that is not used")
	flag.Parse()

	w, err := workerproto.Listen(*addr) // in place of net.Listen
	if err != nil {
		log.Fatal(err)
	}
	s := &server{worker: w, sessions: newSessions()}
	go s.expire(*idle)
	log.Printf("listening on %v", w.Addr())
	err = w.Serve(&http.Server{ // in place of srv.Serve
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	})
	if !errors.Is(err, http.ErrServerClosed) { // which it is when stickyd has stopped and all requests are answered
		log.Fatal(err)
	}
}

// A server answers the visitors whose sessions live in this process.
type server struct {
	worker   *workerproto.Worker
	sessions *sessions
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.visit)
	mux.HandleFunc("POST /logout", s.logout)
	// A form on somebody else's page must not log our visitors out.
	return http.NewCrossOriginProtection().Handler(mux)
}

const page = `<!doctype html>
<title>stickyd: go-http</title>
<p>worker %d, pid %d
<p>visit %d
<p><a href=/>again</a>
<form method=post action=/logout><button>log out</button></form>
`

// visit counts. A visitor without a session gets one: also one whose session
// ended, or was in a worker that died. What such a visitor's cookie says is not
// used again; a session's id is always our own.
func (s *server) visit(rw http.ResponseWriter, r *http.Request) {
	visits, ok := s.sessions.use(sessionID(r))
	if !ok {
		id := rand.Text()
		visits = s.sessions.begin(id)
		// Before the response tells the visitor: the next request may come
		// over another connection at once, and must come here.
		if err := s.worker.Bind(r.Context(), id); err != nil {
			s.sessions.end(id)
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		setCookie(rw, id, 0)
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(rw, page, s.worker.Slot(), os.Getpid(), visits)
}

func (s *server) logout(rw http.ResponseWriter, r *http.Request) {
	if id := sessionID(r); s.sessions.end(id) {
		s.worker.Unbind(id)
	}
	setCookie(rw, "", -1)
	http.Redirect(rw, r, "/", http.StatusSeeOther)
}

// expire ends sessions that nobody uses any more; it runs until the end.
func (s *server) expire(idle time.Duration) {
	for range time.Tick(idle / 4) {
		for _, id := range s.sessions.endIdle(idle) {
			s.worker.Unbind(id)
			log.Printf("a session was idle for %v and has ended", idle)
		}
	}
}

// sessionID returns the id that the request carries, or "", which is nobody's.
func sessionID(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

func setCookie(rw http.ResponseWriter, id string, maxAge int) {
	http.SetCookie(rw, &http.Cookie{
		Name:     cookieName,
		Value:    id,
		MaxAge:   maxAge,
		Path:     "/",
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
		// Secure: true, where there is TLS in front.
	})
}
