package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// newServer returns worker 2 of 3, which has no stickyd behind it.
func newServer(r registry) *server {
	return &server{
		sessions: newSessions(r),
		slot:     2, workers: 3, pid: 4711, started: time.UnixMilli(1_000_000),
		kill: func() { panic("killed") },
	}
}

// start serves s and returns where.
func start(t *testing.T, s *server) string {
	t.Helper()
	srv := httptest.NewServer(s.handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// do sends a request and returns the answer, which must have the status.
func do(t *testing.T, method, url string, status int) (answer, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %s, %s; want %d", method, url, resp.Status, body, status)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s %s: %v in %s", method, url, err, body)
	}
	if resp.Close {
		resp.Header.Set("Connection", "close") // net/http has taken it out
	}
	return a, resp.Header
}

func TestASessionFromItsBeginning(t *testing.T) {
	b := &book{}
	url := start(t, newServer(b))
	a, _ := do(t, "POST", url+"/session", 200)
	if !b.has(a.SID) {
		t.Errorf("the answer revealed %q, which is not registered", a.SID)
	}
	if a.Worker != 2 || a.Workers != 3 || a.PID != 4711 || a.Started != 1_000_000 || a.Sessions != 1 || a.Count != 0 || a.Port == 0 {
		t.Errorf("POST /session: %+v", a)
	}
	for want := 1; want <= 3; want++ {
		if a, _ := do(t, "POST", url+"/increment?sid="+a.SID, 200); a.Count != want {
			t.Errorf("POST /increment: count %d; want %d", a.Count, want)
		}
	}
	if now, _ := do(t, "GET", url+"/session?sid="+a.SID, 200); now.Count != 3 || now.SID != a.SID {
		t.Errorf("GET /session: %+v", now)
	}
}

func TestUnknownSession(t *testing.T) {
	url := start(t, newServer(&book{}))
	for _, request := range []string{
		"GET /session?sid=nobody", "POST /increment?sid=nobody", "POST /kill?sid=nobody",
		"GET /session", "POST /increment?sid=", "POST /kill",
	} {
		method, path, _ := strings.Cut(request, " ")
		a, _ := do(t, method, url+path, 404)
		if a.Error != "session unknown" || a.Worker != 2 || a.PID != 4711 {
			t.Errorf("%s: %+v", request, a)
		}
	}
}

// The answer must be with the client, and whole, while the worker is dying.
func TestKillAnswersFirst(t *testing.T) {
	s := newServer(&book{})
	read, killed := make(chan struct{}), make(chan struct{})
	s.kill = func() {
		<-read
		close(killed)
	}
	url := start(t, s)
	a, _ := do(t, "POST", url+"/session", 200)
	before := time.Now().UnixMilli()
	a, header := do(t, "POST", url+"/kill?sid="+a.SID, 202)
	close(read)
	<-killed
	if a.PID != 4711 || a.KilledAt < before || a.KilledAt > time.Now().UnixMilli() {
		t.Errorf("POST /kill: %+v", a)
	}
	if header.Get("Connection") != "close" {
		t.Error("the connection to a dying worker stays open")
	}
}

func TestWhatNeedsNoSessionDoesNotKeepItsConnection(t *testing.T) {
	url := start(t, newServer(&book{}))
	for _, request := range []string{"GET /whoami", "POST /session"} {
		method, path, _ := strings.Cut(request, " ")
		a, header := do(t, method, url+path, 200)
		if a.Worker != 2 || a.PID != 4711 || header.Get("Connection") != "close" {
			t.Errorf("%s: %+v, Connection %q", request, a, header.Get("Connection"))
		}
	}
}

func TestFullWorkerSaysSo(t *testing.T) {
	s := newServer(&book{})
	for range maxSessions {
		mustOpen(t, s.sessions)
	}
	a, _ := do(t, "POST", start(t, s)+"/session", 503)
	if a.Error != errFull.Error() || a.SID != "" {
		t.Errorf("POST /session at the limit: %+v", a)
	}
}

func TestRefusedSessionIsNotRevealed(t *testing.T) {
	a, _ := do(t, "POST", start(t, newServer(&book{refuse: fmt.Errorf("no")}))+"/session", 500)
	if a.Error != "cannot register the session: no" || a.SID != "" {
		t.Errorf("POST /session: %+v", a)
	}
}

func TestOtherSitesMayNotPost(t *testing.T) {
	s := newServer(&book{})
	for _, path := range []string{"/session", "/increment?sid=x", "/kill?sid=x"} {
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		rec := httptest.NewRecorder()
		s.handler().ServeHTTP(rec, r)
		if rec.Code != 403 {
			t.Errorf("POST %s from another site: %d; want 403", path, rec.Code)
		}
	}
	if n := s.sessions.len(); n != 0 {
		t.Errorf("another site opened %d sessions", n)
	}
}

func TestWrongMethod(t *testing.T) {
	for _, request := range []string{"POST /whoami", "GET /increment?sid=x", "GET /kill?sid=x", "DELETE /session"} {
		method, path, _ := strings.Cut(request, " ")
		rec := httptest.NewRecorder()
		newServer(&book{}).handler().ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		if rec.Code != 405 {
			t.Errorf("%s: %d; want 405", request, rec.Code)
		}
	}
}

// Started by hand, the worker is an ordinary server.
func TestWorksWithoutStickyd(t *testing.T) {
	w, err := workerproto.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: newServer(w).handler()}
	served := make(chan error, 1)
	go func() { served <- w.Serve(srv) }()
	url := strings.TrimSuffix(URL(w.Addr()), "/")
	a, _ := do(t, "POST", url+"/session", 200)
	if a, _ = do(t, "POST", url+"/increment?sid="+a.SID, 200); a.Count != 1 {
		t.Errorf("POST /increment: %+v", a)
	}
	srv.Close()
	if err := <-served; err != http.ErrServerClosed {
		t.Error("Serve:", err)
	}
}
