package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// parallel calls f with 0 to n-1, so many at a time.
func parallel(n, concurrency int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func TestRequestRightAfterTheHandshakeReachesTheOwner(t *testing.T) {
	const handshakes, concurrency, workers = 10_000, 50, 4
	s, _ := startReady(t, workers, worker("app"))
	var wrong, failed atomic.Int64
	parallel(handshakes, concurrency, func(int) {
		owner, err := s.get("/handshake")
		if err != nil || owner.status != http.StatusOK {
			failed.Add(1)
			t.Error("handshake:", owner.status, err)
			return
		}
		user, err := s.get("/use?sid=" + owner.SID)
		switch {
		case err != nil:
			failed.Add(1)
			t.Error("use:", err)
		case user.status != http.StatusOK || user.PID != owner.PID:
			wrong.Add(1)
		}
	})
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d requests reached a worker that does not own their session", n, handshakes)
	}
	t.Logf("%d handshakes, each with a request: %d misrouted, %d failed", handshakes, wrong.Load(), failed.Load())
}

func TestEndedSessionIsRoutedLikeANewOne(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--balance", "round-robin")
	owner := s.mustGet("/handshake")
	s.mustGet("/end?sid=" + owner.SID)
	slots := make(map[int]bool)
	for range 4 {
		r, err := s.get("/use?sid=" + owner.SID)
		if err != nil || r.status != http.StatusNotFound {
			t.Fatalf("use of an ended session: %d, %v", r.status, err)
		}
		slots[r.Slot] = true
	}
	if len(slots) != 2 {
		t.Errorf("an ended session's requests all went to %v", slots)
	}
}

func TestSessionSources(t *testing.T) {
	s, _ := startReady(t, 3, worker("app"),
		"--session", "query:sid", "--session", "header:Mcp-Session-Id", "--session", "cookie:sid", "--session", "path:/s/*/{}")
	owner := s.mustGet("/handshake?want=in/any+place")
	for _, tt := range []struct {
		name, path string
		header     http.Header
	}{
		{"query", "/whoami?x=1&sid=in%2fany+place", nil},
		{"header", "/whoami", http.Header{"Mcp-Session-Id": {"in/any+place"}}},
		{"query before header", "/whoami?sid=in/any%20place", http.Header{"Mcp-Session-Id": {"other"}}},
		{"path", "/s/000/in%2Fany%20place/xhr", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := owner.PID
			if tt.name == "header" {
				// + is a space in a query only.
				want = s.mustGet("/handshake?want=in/any%2Bplace").PID
			}
			for range 6 {
				if r := s.mustGetWith(tt.path, tt.header); r.PID != want {
					t.Errorf("worker %d answered, want %d", r.PID, want)
				}
			}
		})
	}
}

func (s *server) mustGetWith(path string, header http.Header) reply {
	s.t.Helper()
	client := &http.Client{Transport: withHeader{header}, Timeout: deadline}
	r, err := s.getWith(client, path)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// withHeader is a transport that adds fields and uses each connection once.
type withHeader struct{ header http.Header }

func (w withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, v := range w.header {
		r.Header[k] = v
	}
	return oneShot.Transport.RoundTrip(r)
}

func TestClientSeesItsOwnAddressAtTheWorker(t *testing.T) {
	s, _ := startReady(t, 1, worker("app"))
	for range 3 {
		if r := s.mustGet("/whoami"); len(r.Client) < 8 || r.Client[:8] != "127.0.1." {
			t.Error("the worker sees", r.Client)
		}
	}
}

func TestUnixListener(t *testing.T) {
	path := fmt.Sprintf("%s/s", t.TempDir())
	s := launch(t, append([]string{"--listen", "unix:" + path, "--log-format", "json", "--workers", "2", "--"}, worker("app")...)...)
	s.awaitN(2, "worker ready", nil)
	client := unixClient(path)
	s.addr = "stickyd"
	owner, err := s.getWith(client, "/handshake")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		r, err := s.getWith(client, "/use?sid="+owner.SID)
		if err != nil || r.PID != owner.PID {
			t.Errorf("worker %d answered, want %d; %v", r.PID, owner.PID, err)
		}
	}
}

// Mistakes that only show as sessions that don't stick are named in the log.
func TestMistakesAboutSessionsAreNamed(t *testing.T) {
	t.Run("no worker binds", func(t *testing.T) {
		s, _ := startReady(t, 2, worker("app"))
		for range 20 {
			s.mustGet("/whoami")
		}
		for range 20 {
			s.get("/use?sid=never-bound")
		}
		s.await("requests carry session ids, but no worker has registered any session", nil)
	})
	t.Run("ids are elsewhere", func(t *testing.T) {
		s, _ := startReady(t, 2, worker("app"), "--session", "cookie:another")
		for range 40 {
			s.mustGet("/handshake")
		}
		s.await("no request carries a session id where ids are looked for, though workers have registered sessions", nil)
	})
	t.Run("all is well", func(t *testing.T) {
		s, _ := startReady(t, 2, worker("app"))
		owner := s.mustGet("/handshake")
		s.mustGet("/use?sid=" + owner.SID)
		s.handshakes(60, 10)
		for range 30 {
			s.get("/use?sid=unknown")
		}
		s.signal(sigTerm)
		s.wait()
		s.await("stopped", nil)
		for _, msg := range []string{"requests carry session ids, but no worker has registered any session",
			"no request carries a session id where ids are looked for, though workers have registered sessions"} {
			if found, _ := s.find(msg, nil); len(found) > 0 {
				t.Error("the log says: ", msg)
			}
		}
	})
}
