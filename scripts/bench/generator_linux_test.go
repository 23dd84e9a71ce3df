package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// generate runs the generator in this process.
func generate(t *testing.T, o order) tally {
	t.Helper()
	o.Length = 100 * time.Millisecond
	g := &generator{order: o}
	if err := g.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the server's, which waits for its connections
		for i := range g.slots {
			g.drop(&g.slots[i])
		}
		unix.Close(g.epoll)
	})
	if !g.order.Mode.holds() {
		g.measure()
	}
	return g.tally
}

// orderFor asks a server for a session that a worker has.
func orderFor(srv *httptest.Server, m mode, worker, sid string) order {
	addr := strings.TrimPrefix(srv.URL, "http://")
	return order{Mode: m, Slots: 4, Addr: addr, App: goApp, Sessions: []session{{ID: sid, Worker: worker, Addr: addr}}}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// answers is a worker that says that it is 7.
func answers(status int, headers ...string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Worker", "7")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			rw.Header().Set(name, value)
		}
		rw.WriteHeader(status)
		io.WriteString(rw, "6")
	})
}

func TestEachAnswerIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name          string
		worker        string
		status        int
		wrong, failed bool
	}{
		{"the owner's", "7", 200, false, false},
		{"another worker's", "8", 200, true, false},
		{"one that does not know the session", "7", 400, true, false},
		{"an error", "7", 503, false, true},
	} {
		for _, m := range []mode{modeNew, modeKept} {
			o := orderFor(serve(t, answers(tt.status)), m, tt.worker, "A")
			if m == modeKept && tt.failed {
				o.Mode = modeNew // no connection would be prepared
			}
			got := generate(t, o)
			if (got.Wrong > 0) != tt.wrong || got.Wrong > 0 && got.Wrong != got.Requests || (got.Failed > 0) != tt.failed || (got.Requests > 0) == tt.failed {
				t.Errorf("%s, %s: %+v", tt.name, m, got)
			}
		}
	}
}

func TestAlternatingSessionsAreAskedForInTurn(t *testing.T) {
	o := orderFor(serve(t, answers(200)), modeMixed, "7", "A")
	o.Sessions = append(o.Sessions, session{ID: "B", Worker: "8", Addr: o.Addr})
	if got := generate(t, o); got.Requests < 20 || got.Wrong < got.Requests/2-4 || got.Wrong > got.Requests/2+4 {
		t.Errorf("half of the answers should be wrong: %+v", got)
	}
}

func TestConnectionsThatAreClosedAreCounted(t *testing.T) {
	got := generate(t, orderFor(serve(t, answers(200, "Connection: close")), modeKept, "7", "A"))
	if got.Requests == 0 || got.Reconnects != got.Requests || got.Failed > 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotAnsweredTimesOut(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	srv := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer close(end)
	if got := generate(t, orderFor(srv, modeNew, "7", "A")); got.TimedOut != 4 || got.Failed != 4 || got.FirstError != errTimeout.Error() {
		t.Errorf("%+v", got)
	}
}

func TestRateIsKept(t *testing.T) {
	o := orderFor(serve(t, answers(200)), modeNew, "7", "A")
	o.Rate = 200
	if got := generate(t, o); got.Requests != 20 || got.P50 == 0 {
		t.Errorf("%+v in %v, want 20 requests", got, got.Elapsed)
	}
}

func TestNobodyListens(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	if got := generate(t, orderFor(srv, modeNew, "7", "A")); got.Requests > 0 || got.Failed == 0 || !strings.Contains(got.FirstError, "refused") {
		t.Errorf("%+v", got)
	}
}

// The worker program answers everything that the generator says.
func TestWorkerUnderEveryLoad(t *testing.T) {
	bound := make(chan string, 1000)
	srv := serve(t, newHandler(func(_ context.Context, sid string) {
		select {
		case bound <- sid:
		default:
		}
	}))
	addr := strings.TrimPrefix(srv.URL, "http://")
	s, err := goApp.handshake(addr)
	if err != nil || s.ID != <-bound || s.Worker == "" {
		t.Fatal(s, err)
	}
	for _, l := range goLoads(500) {
		o := order{Mode: l.mode, Slots: 4, Rate: l.rate, Size: l.size, Addr: addr, App: goApp, Sessions: []session{s}}
		if got := generate(t, o); got.Requests == 0 || got.Wrong+got.Failed+got.Reconnects > 0 {
			t.Errorf("%s: %+v", l.name, got)
		}
	}
	for _, kind := range idleKinds {
		o := order{Mode: kind.mode, Slots: 100, Addr: addr, App: goApp, Sessions: []session{s}}
		if got := generate(t, o); got.Open != 100 || got.Failed > 0 {
			t.Errorf("%s: %+v", kind.name, got)
		}
	}
}

// Each WebSocket ends after three messages, and the client opens another one.
func TestWebSocketsThatEndAreOpenedAgain(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nX-Worker: 7\r\n\r\n")
		for range 3 {
			message, err := readMessage(buffered.Reader, nil)
			if err != nil {
				return
			}
			conn.Write(message)
		}
	}))
	o := orderFor(srv, modeWebSocket, "7", "A")
	o.Size = 64
	if got := generate(t, o); got.Requests < 12 || got.Failed < 4 || got.Wrong > 0 {
		t.Errorf("%+v", got)
	}
}

func TestHandshakeThatIsRefused(t *testing.T) {
	srv := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.Error(rw, "too many", 400) }))
	if _, err := goApp.handshake(strings.TrimPrefix(srv.URL, "http://")); err == nil || errors.Is(err, errTimeout) {
		t.Error(err)
	}
}
