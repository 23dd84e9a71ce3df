package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// startGoHTTP runs three of examples/go-http, as its README says.
func startGoHTTP(t *testing.T, args ...string) *server {
	t.Helper()
	command := append([]string{build(t, "../../examples/go-http")}, args...)
	s, _ := startReady(t, 3, command, "--session", "cookie:session")
	return s
}

// A visitor is a browser: it keeps cookies, and follows redirects.
type visitor struct {
	t      *testing.T
	client *http.Client
	site   *url.URL
}

func newVisitor(t *testing.T, addr string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: oneShot.Transport, Jar: jar, Timeout: deadline}
	return &visitor{t, client, &url.URL{Scheme: "http", Host: addr, Path: "/"}}
}

func (v *visitor) cookies() []*http.Cookie { return v.client.Jar.Cookies(v.site) }

// A view is what the page says.
type view struct{ worker, pid, count int }

var viewed = regexp.MustCompile(`worker (\d+), pid (\d+)\n<p>visit (\d+)\n`)

// read finds the view in a response. Without one the test has failed.
func (v *visitor) read(resp *http.Response, err error) (seen view) {
	v.t.Helper()
	if err != nil {
		v.t.Error(err)
		return seen
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	found := viewed.FindStringSubmatch(string(body))
	if found == nil {
		v.t.Errorf("status %d, body %q, error %v", resp.StatusCode, body, err)
		return seen
	}
	for i, field := range []*int{&seen.worker, &seen.pid, &seen.count} {
		*field, _ = strconv.Atoi(found[i+1])
	}
	return seen
}

func (v *visitor) get() view {
	v.t.Helper()
	return v.read(v.client.Get(v.site.String()))
}

// post posts, and follows to the page: that's two requests.
func (v *visitor) post(path string) view {
	v.t.Helper()
	return v.read(v.client.Post(v.site.JoinPath(path).String(), "", nil))
}

// arrive brings visitors whose sessions have begun, and what they saw.
func arrive(t *testing.T, addr string, n int) (visitors []*visitor, seen []view) {
	t.Helper()
	workers := make(map[int]bool)
	for range n {
		v := newVisitor(t, addr)
		first := v.get()
		if first.count != 1 {
			t.Fatalf("the first view is %+v", first)
		}
		visitors, seen = append(visitors, v), append(seen, first)
		workers[first.worker] = true
	}
	if len(workers) != 3 {
		t.Fatalf("%d sessions live in workers %v, want three workers", n, workers)
	}
	return visitors, seen
}

func TestGoHTTPSessionsStick(t *testing.T) {
	s := startGoHTTP(t)
	visitors, seen := arrive(t, s.addr, 30)

	// Over a new connection for each request, everybody at the same time.
	var all sync.WaitGroup
	for i, v := range visitors {
		all.Go(func() {
			for range 10 {
				seen[i].count++
				if got := v.get(); got != seen[i] {
					t.Errorf("over new connections: sees %+v, want %+v", got, seen[i])
					return
				}
			}
		})
	}
	all.Wait()

	// Over one kept-alive connection that all share, as a proxy's clients do.
	var dialled atomic.Int32
	shared := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled.Add(1)
		return dial(ctx, network, addr)
	}}
	defer shared.CloseIdleConnections()
	for range 5 {
		for i, v := range visitors {
			v.client.Transport = shared
			seen[i].count++
			if got := v.get(); got != seen[i] {
				t.Fatalf("over a shared connection: sees %+v, want %+v", got, seen[i])
			}
		}
	}
	if n := dialled.Load(); n != 1 {
		t.Errorf("there were %d connections, want 1", n)
	}
}

func TestGoHTTPKilledWorkerLosesOnlyItsSessions(t *testing.T) {
	s := startGoHTTP(t)
	visitors, seen := arrive(t, s.addr, 30)
	victim := seen[0].pid
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for i, v := range visitors {
		want := seen[i]
		want.count++
		got := v.get()
		if want.pid == victim {
			lost++
			if got.pid == victim || got.count != 1 {
				t.Fatalf("a visitor of the dead worker sees %+v", got)
			}
			want, got = got, v.get() // a new session like any other
			want.count++
		}
		if got != want {
			t.Fatalf("sees %+v, want %+v", got, want)
		}
	}
	t.Logf("%d of %d sessions were lost", lost, len(visitors))
}

func TestGoHTTPLogout(t *testing.T) {
	v := newVisitor(t, startGoHTTP(t).addr)
	v.get()
	old := v.cookies()
	if got := v.post("/logout"); got.count != 1 || v.cookies()[0].Value == old[0].Value {
		t.Errorf("after logout: sees %+v, has cookies %v", got, v.cookies())
	}
	// Somebody who kept the cookie has nothing either.
	v.client.Jar.SetCookies(v.site, old)
	if got := v.get(); got.count != 1 || v.cookies()[0].Value == old[0].Value {
		t.Errorf("with the old cookie: sees %+v, want a session of its own", got)
	}
}

func TestGoHTTPIdleSessionEnds(t *testing.T) {
	s := startGoHTTP(t, "-idle", "200ms")
	v := newVisitor(t, s.addr)
	v.get()
	s.await("worker output", func(e event) bool {
		return strings.Contains(e.str("line"), "a session was idle for 200ms and has ended")
	})
	if got := v.get(); got.count != 1 {
		t.Errorf("after a time without a visit: sees %+v", got)
	}
}

func TestGoHTTPCookieIsForTheServerOnly(t *testing.T) {
	v := newVisitor(t, startGoHTTP(t).addr)
	resp, err := v.client.Get(v.site.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("the response sets %q", resp.Header["Set-Cookie"])
	}
	if c := cookies[0]; c.Name != "session" || len(c.Value) < 20 || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Errorf("the response sets %q", resp.Header["Set-Cookie"])
	}
}

func TestGoHTTPRunsByItself(t *testing.T) {
	program := launchCommand(t, exec.Command(build(t, "../../examples/go-http"), "-addr", "127.0.0.1:0"))
	defer program.wait() // before anybody expects an exit status of 0
	defer program.signal(syscall.SIGTERM)
	v := newVisitor(t, program.awaitText(`listening on (\S+)`))
	for i := 1; i <= 3; i++ {
		if got, want := v.get(), (view{worker: 0, pid: program.cmd.Process.Pid, count: i}); got != want {
			t.Fatalf("sees %+v, want %+v", got, want)
		}
	}
}
