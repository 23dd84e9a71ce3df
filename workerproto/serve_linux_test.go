package workerproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
)

// serve runs srv on the worker. The channel gets what Serve returns; the test
// may leave it alone.
func serve(t testing.TB, w *Worker, srv *http.Server) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { result <- w.Serve(srv) })
	t.Cleanup(func() { srv.Close(); running.Wait() })
	return result
}

// startServer returns the supervisor of a worker that serves handler.
func startServer(t testing.TB, handler http.Handler, sessions ...string) (*Worker, *supervisor) {
	t.Helper()
	w, p := startWorker(t, sessions...)
	serve(t, w, &http.Server{Handler: handler})
	p.want(Ready)
	return w, p
}

// A browser is a client's end of a connection.
type browser struct {
	t testing.TB
	*net.TCPConn
	in *bufio.Reader
}

func (p *supervisor) browse(id uint64, flags uint8, replay string) *browser {
	p.t.Helper()
	c := p.hand(id, flags, replay)
	return &browser{p.t, c, bufio.NewReader(c)}
}

func (b *browser) send(raw string) {
	b.t.Helper()
	if _, err := io.WriteString(b, raw); err != nil {
		b.t.Fatal(err)
	}
}

// get reads a response to a request of the given method.
func (b *browser) get(method string) (*http.Response, string) {
	b.t.Helper()
	resp, err := http.ReadResponse(b.in, &http.Request{Method: method})
	if err != nil {
		b.t.Fatal("no response: ", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(body)
}

// wants reads a response and checks its body.
func (b *browser) wants(want string) *http.Response {
	b.t.Helper()
	resp, body := b.get("GET")
	if body != want {
		b.t.Errorf("the response is %d %q, want %q", resp.StatusCode, body, want)
	}
	return resp
}

// ended reads to the end of the connection, which comes at once.
func (b *browser) ended() {
	b.t.Helper()
	if rest, err := io.ReadAll(b.in); len(rest) > 0 || os.IsTimeout(err) {
		b.t.Errorf("read %q (%v), want the end", rest, err)
	}
}

// echo says which request it is, and reads no body unless asked to.
var echo = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Read") != "" {
		io.Copy(io.Discard, r.Body)
	}
	fmt.Fprint(rw, r.Method, " ", r.RequestURI)
})

// post is a request with a body.
func post(target, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-Read: 1\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
}

func get(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// A request for another worker's session goes back with exactly its bytes,
// whatever came before it and whatever comes behind.
func TestServeHandsBack(t *testing.T) {
	foreign := get("/f?sid=theirs")
	bodyOf := func(n int) string { return strings.Repeat("b", n) }
	chunk := func(target, chunks string) string {
		return "POST " + target + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	}
	for _, tt := range []struct {
		name     string
		sessions string   // where ids stand
		replay   string   // comes with the connection
		own      string   // sent at once
		methods  []string // of the requests in replay and own; GET if nil
		foreign  string   // sent with own if together, else after its responses
		together bool
		later    string // sent once the connection has come back
	}{
		{name: "GET", own: get("/"), foreign: foreign},
		{name: "HEAD", own: "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", methods: []string{"HEAD"}, foreign: "HEAD /?sid=theirs HTTP/1.1\r\nHost: h\r\n\r\n"},
		{name: "OPTIONS", own: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", foreign: "OPTIONS /?sid=theirs HTTP/1.1\r\nHost: h\r\n\r\n"},
		{name: "in absolute form", own: get("/"), foreign: get("http://h/x?a=1&sid=theirs")},
		{name: "HTTP/1.0", own: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", foreign: "GET /?sid=theirs HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
		{name: "with Connection: close", own: get("/"), foreign: "GET /?sid=theirs HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
		{name: "POST", own: get("/"), foreign: post("/?sid=theirs", "hello")},
		{name: "POST of which half has come", own: get("/"), foreign: post("/?sid=theirs", "hello")[:70], later: post("/?sid=theirs", "hello")[70:]},
		{name: "POST of a megabyte", own: get("/"), foreign: post("/?sid=theirs", bodyOf(1<<20))[:1<<12], later: post("/?sid=theirs", bodyOf(1<<20))[1<<12:]},
		{name: "POST in chunks", own: get("/"), foreign: chunk("/?sid=theirs", "5\r\nhel"), later: "lo\r\n0\r\n\r\n"},
		{name: "Expect: 100-continue", own: get("/"), foreign: "POST /?sid=theirs HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", later: "abc"},
		{name: "with more behind it", own: get("/"), foreign: foreign + get("/own") + post("/?sid=theirs", "x")},
		{name: "with so much behind it that it is not all read", own: get("/"), foreign: foreign, later: bodyOf(100_000)},
		{name: "pipelined", own: get("/"), foreign: foreign + foreign, together: true},
		{name: "pipelined behind several", own: get("/1") + get("/2") + get("/3"), foreign: foreign, together: true},
		{name: "behind a body that is read", own: post("/", foreign), foreign: foreign, together: true},
		{name: "behind a body that is not read", own: strings.Replace(post("/", foreign), "X-Read", "X-Skip", 1), foreign: foreign, together: true},
		{name: "behind a long body that is read", own: post("/", bodyOf(1<<20)), foreign: foreign},
		{name: "behind a long body that is not read", own: strings.Replace(post("/", bodyOf(100_000)), "X-Read", "X-Skip", 1), foreign: foreign, together: true},
		{name: "behind chunks", own: chunk("/", "5\r\nhello\r\n1e;x=1\r\n"+foreign[:30]+"\r\n0\r\nT: 1\r\n\r\n"), foreign: foreign, together: true},
		{name: "behind a POST and a line end too many", own: post("/", "hello"), foreign: "\r\n" + foreign, together: true},
		{name: "in a connection that came with bytes to replay", replay: get("/1") + foreign[:10], own: foreign[10:] + get("/2"), methods: []string{"GET"}},
		{name: "of which the bytes to replay are not all read", replay: get("/?sid=nobodys") + foreign + bodyOf(50_000), own: "", methods: []string{"GET"}},
		{name: "with a long head", own: get("/"), foreign: "GET /?sid=theirs HTTP/1.1\r\nHost: h\r\nX: " + bodyOf(64<<10-100) + "\r\n\r\n"},
		{name: "in a header", sessions: "header:Mcp-Session-Id", own: get("/?sid=x"), foreign: "POST /mcp HTTP/1.1\r\nHost: h\r\nmcp-session-id: theirs\r\nContent-Length: 2\r\n\r\n{}"},
		{name: "in a cookie", sessions: "cookie:s", own: get("/"), foreign: "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; s=\"theirs\"\r\n\r\n"},
		{name: "in a path", sessions: "path:/echo/*/{}", own: get("/echo/info"), foreign: get("/echo/000/theirs/xhr")},
		{name: "WebSocket", own: get("/"), foreign: "GET /?sid=theirs HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.sessions == "" {
				tt.sessions = "query:sid"
			}
			_, p := startServer(t, echo, tt.sessions)
			b := p.browse(7, 0, tt.replay)
			// All that was read and sent, but for what is answered here.
			all := strings.TrimLeft(tt.foreign, "\r\n") // only behind its own POST does net/http take them
			methods := tt.methods
			if tt.replay != "" {
				all = tt.replay[strings.Index(tt.replay, "\r\n\r\n")+4:] + tt.own
			} else if methods == nil {
				methods = make([]string, max(1, strings.Count(tt.own, "GET ")))
				if tt.own[:3] != "GET" { // a body that holds one
					methods = methods[:1]
				}
			}
			if tt.together {
				b.send(tt.own + tt.foreign)
			} else {
				b.send(tt.own)
			}
			for _, method := range methods {
				if resp, body := b.get(method); resp.StatusCode != 200 || resp.Close && resp.ProtoMinor == 1 {
					t.Errorf("our own is answered by %d %q, close=%t", resp.StatusCode, body, resp.Close)
				}
			}
			if tt.replay == "" && !tt.together {
				b.send(tt.foreign)
			}
			f := p.want(Return)
			if f.flags != FlagDescriptor {
				t.Errorf("flags %d", f.flags)
			}
			id, replay, err := parseConn(Return, f.body)
			if id != 7 || f.fd < 0 || err != nil {
				t.Fatalf("RETURN of %d with descriptor %d: %v", id, f.fd, err)
			}
			file := os.NewFile(uintptr(f.fd), "returned")
			defer file.Close()
			c, err := net.FileConn(file)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(deadline))
			rest := make(chan []byte)
			go func() {
				got, _ := io.ReadAll(c)
				rest <- got
			}()
			b.send(tt.later)
			b.CloseWrite()
			if got, want := string(replay)+string(<-rest), all+tt.later; got != want {
				t.Errorf("%d bytes came back, want %d:\n%.300q\nwant\n%.300q", len(got), len(want), got, want)
			}
			// The client has heard nothing but its own responses.
			io.WriteString(c, "the owner's response")
			c.Close()
			file.Close()
			if got, err := io.ReadAll(b.in); string(got) != "the owner's response" || err != nil {
				t.Errorf("the client reads %q (%v)", got, err)
			}
		})
	}
}

// What stickyd sends is ours, whatever it says: else it would go in circles.
func TestServeNeverHandsBackTheFirst(t *testing.T) {
	_, p := startServer(t, echo)
	for id := range uint64(3) {
		flags := uint8(id % 2 * FlagSession)
		replay := get("/?sid=nobodys")
		b := p.browse(1+id, flags, replay[:10*int(id)])
		b.send(replay[10*int(id):])
		b.wants("GET /?sid=nobodys")
		// The second one is not stickyd's decision any more.
		b.send(get("/?sid=nobodys"))
		f := p.want(Return)
		fdpass.Close(f.fd)
		if f.flags&FlagSession != flags {
			t.Errorf("connection %d was handed with flags %d and returned with %d", 1+id, flags, f.flags)
		}
		b.ended()
	}
}

// Which requests go back follows which sessions are here.
func TestServeFollowsSessions(t *testing.T) {
	w, p := startWorker(t)
	mux := http.NewServeMux()
	mux.Handle("/", echo)
	mux.HandleFunc("/new/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if err := w.Bind(r.Context(), r.PathValue("id")); err != nil {
			t.Error(err)
		}
		echo(rw, r)
	})
	mux.HandleFunc("/end/{id}", func(rw http.ResponseWriter, r *http.Request) {
		w.Unbind(r.PathValue("id"))
		echo(rw, r)
	})
	serve(t, w, &http.Server{Handler: mux})
	p.want(Ready)

	b := p.browse(1, 0, "")
	for _, id := range []string{"one", "two", "three"} {
		b.send(get("/new/" + id))
		b.wants("GET /new/" + id)
		// The client has its response, so BIND must be there by now.
		f, ok := p.heard()
		for ok && f.kind == Taken {
			f, ok = p.heard()
		}
		adopted := "\x00\x00\x00\x00"
		if id == "one" {
			adopted = "\x00\x00\x00\x01"
		}
		if !ok || f.kind != Bind || string(f.body[:4]) != adopted || string(f.body[6:]) != id {
			t.Fatalf("%s %q, want BIND of %s", f.kind, f.body, id)
		}
		b.send(get("/?sid=" + id))
		b.wants("GET /?sid=" + id)
	}
	back := func(id string) {
		t.Helper()
		b.send(get("/?sid=" + id))
		f := p.want(Return)
		fdpass.Close(f.fd)
		if f.flags&FlagSession == 0 {
			t.Error("an adopted connection is returned as load")
		}
		b.ended()
	}
	b.send(get("/end/two"))
	b.wants("GET /end/two")
	p.want(Unbind)
	back("two")

	p.say(appendIDFrame(nil, Refused, "three"))
	p.sync()
	b = p.browse(2, FlagSession, "")
	b.send(get("/?sid=one"))
	b.wants("GET /?sid=one")
	back("three")
}

// A hijacked connection is its handler's: its bytes are not requests, even if
// they look like it.
func TestServeLeavesHijackedAlone(t *testing.T) {
	_, p := startServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		message := make([]byte, len(get("/?sid=theirs")))
		for range 2 {
			if _, err := io.ReadFull(buffered, message); err != nil {
				t.Error(err)
			}
			c.Write(message)
		}
		wc := c.(*workerConn)
		if len(wc.heard.unanswered()) > 0 {
			t.Error("what is read off it is kept")
		}
	}))
	b := p.browse(1, 0, "")
	upgrade := "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	message := get("/?sid=theirs")
	b.send(upgrade + message) // the server has read ahead
	if resp, err := http.ReadResponse(b.in, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	if got := readString(t, b.in, len(message)); got != message {
		t.Errorf("read %q", got)
	}
	b.send(message)
	if got := readString(t, b.in, len(message)); got != message {
		t.Errorf("read %q", got)
	}
	b.ended()
	if n, err := parseCount(Closed, p.want(Closed).body); n != 1 || err != nil {
		t.Errorf("CLOSED %d (%v)", n, err)
	}
}

// Where it can't be told exactly what to give back, the connection ends.
func TestServeDoesNotGuess(t *testing.T) {
	long := func(target string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", MaxReplay) + "\r\n\r\n"
	}
	_, p := startServer(t, echo)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	b.send(long("/?sid=theirs"))
	if resp := b.wants("request head too large to be passed on\n"); resp.StatusCode != 431 || !resp.Close {
		t.Errorf("%d, close=%t", resp.StatusCode, resp.Close)
	}
	b.ended()

	// One of our own is answered, and is the last one.
	b = p.browse(2, 0, "")
	b.send(long("/own") + get("/?sid=theirs"))
	if resp := b.wants("GET /own"); !resp.Close {
		t.Error("the connection stays open")
	}
	b.ended()
}

type testKey string

// What net/http does by itself it still does.
func TestServeIsAnOrdinaryServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	content := strings.Repeat("0123456789", 100_000)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/", echo)
	mux.HandleFunc("/file", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, file) })
	mux.HandleFunc("/who", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, r.RemoteAddr, " ", r.Context().Value(http.LocalAddrContextKey), " ", r.Context().Value(connKey{}) != nil, " ", r.Context().Value(testKey("mine")))
	})
	mux.HandleFunc("/flush", func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "a")
		if err := http.NewResponseController(rw).Flush(); err != nil {
			t.Error(err)
		}
		<-heard
		io.WriteString(rw, "b")
	})
	mux.HandleFunc("/slow", func(rw http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(rw)
		rc.SetReadDeadline(time.Now())
		if _, err := io.ReadAll(r.Body); !os.IsTimeout(err) {
			t.Errorf("read after the deadline: %v", err)
		}
		rc.SetWriteDeadline(time.Now().Add(deadline))
	})
	mux.HandleFunc("/gone", func(rw http.ResponseWriter, r *http.Request) {
		close(heard)
		<-r.Context().Done()
		close(r.Context().Value(testKey("gone")).(chan struct{}))
	})
	w, p := startWorker(t)
	gone := make(chan struct{})
	states := make(chan http.ConnState, 100)
	srv := &http.Server{
		Handler: mux,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(context.WithValue(ctx, testKey("mine"), c.RemoteAddr()), testKey("gone"), gone)
		},
		ConnState: func(c net.Conn, s http.ConnState) { states <- s },
	}
	serve(t, w, srv)
	p.want(Ready)
	b := p.browse(1, 0, "")
	b.send(get("/file"))
	b.wants(content)
	b.send(get("/who"))
	b.wants(fmt.Sprintf("%v %v true %[1]v", b.LocalAddr(), b.RemoteAddr()))
	b.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp := b.wants(""); resp.StatusCode != 200 || resp.ContentLength != 0 {
		t.Errorf("OPTIONS *: %v", resp)
	}
	b.send("OPTIONS /x HTTP/1.1\r\nHost: h\r\n\r\n")
	b.wants("OPTIONS /x")
	b.send("POST /expects HTTP/1.1\r\nHost: h\r\nX-Read: 1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if line, _ := b.in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Errorf("%q", line)
	}
	b.in.ReadString('\n')
	b.send("abc")
	b.wants("POST /expects")
	b.send(get("/flush"))
	resp, err := http.ReadResponse(b.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := readString(t, resp.Body, 1); got != "a" {
		t.Errorf("read %q", got)
	}
	heard <- struct{}{}
	if got, err := io.ReadAll(resp.Body); string(got) != "b" || err != nil {
		t.Errorf("read %q %v", got, err)
	}
	b.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if resp := b.wants("GET /last"); !resp.Close {
		t.Error("the connection stays open")
	}
	b.ended()
	want := []http.ConnState{http.StateNew}
	for range 7 {
		want = append(want, http.StateActive, http.StateIdle)
	}
	want[len(want)-1] = http.StateClosed
	for i, s := range want {
		if got := <-states; got != s {
			t.Errorf("state %d is %v, want %v", i, got, s)
		}
	}

	b = p.browse(2, 0, "")
	b.send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
	b.get("POST")
	b = p.browse(3, 0, "")
	b.send(get("/gone"))
	<-heard
	b.Close()
	<-gone // the request's context ends when the client goes
}

// TLS is the application's own: stickyd routes it like anything else that it
// can't read, and the worker is an ordinary listener for it.
func TestWorkerUnderTLS(t *testing.T) {
	w, p := startWorker(t)
	certificates := httptest.NewTLSServer(nil) // it has one
	defer certificates.Close()
	srv := &http.Server{Handler: echo}
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(tls.NewListener(w, certificates.TLS)) })
	t.Cleanup(func() { srv.Close(); running.Wait() })
	p.want(Ready)
	raw := p.hand(1, 0, "")
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	b := &browser{t, raw, bufio.NewReader(c)}
	for range 2 {
		io.WriteString(c, get("/?sid=theirs"))
		b.wants("GET /?sid=theirs")
	}
}

func TestServeKeepsTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		srv        *http.Server
	}{
		{"head", "GET / HTT", &http.Server{Handler: echo, ReadHeaderTimeout: time.Millisecond}},
		{"second head", get("/") + "GET / HTT", &http.Server{Handler: echo, ReadHeaderTimeout: 50 * time.Millisecond}},
		{"idle", get("/"), &http.Server{Handler: echo, IdleTimeout: time.Millisecond}},
		{"no keep-alive", get("/"), func() *http.Server {
			srv := &http.Server{Handler: echo}
			srv.SetKeepAlivesEnabled(false)
			return srv
		}()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := startWorker(t)
			serve(t, w, tt.srv)
			p.want(Ready)
			b := p.browse(1, 0, "")
			b.send(tt.send)
			io.ReadAll(b.in)
			if n, err := parseCount(Closed, p.want(Closed).body); n != 1 || err != nil {
				t.Errorf("CLOSED %d (%v)", n, err)
			}
		})
	}
}

// A blocker is a handler whose requests last until the test lets them go.
type blocker struct {
	begun chan string
	goOn  chan struct{}
}

func newBlocker() blocker { return blocker{make(chan string, 10), make(chan struct{})} }

func (b blocker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/quick" {
		b.begun <- r.RequestURI
		<-b.goOn
	}
	echo(rw, r)
}

func TestServeEnds(t *testing.T) {
	for _, drain := range []bool{true, false} {
		name := map[bool]string{true: "asked to", false: "stickyd is gone"}[drain]
		t.Run(name, func(t *testing.T) {
			w, p := startWorker(t)
			h := newBlocker()
			result := serve(t, w, &http.Server{Handler: h})
			p.want(Ready)
			busy, idle, fresh := p.browse(1, 0, ""), p.browse(2, 0, ""), p.browse(3, 0, "")
			busy.send(get("/busy"))
			<-h.begun
			idle.send(get("/quick"))
			idle.wants("GET /quick")
			if drain {
				p.say(appendCount(nil, Drain, uint32(deadline.Milliseconds())))
				<-w.Draining()
			}
			p.sync()
			p.conn.CloseWrite()
			if !drain {
				p.conn.Close()
			}
			<-w.ended
			// Its first request was on the way; it is served.
			fresh.send(get("/quick?sid=any"))
			fresh.wants("GET /quick?sid=any")
			idle.ended()
			select {
			case err := <-result:
				t.Fatalf("Serve returns %v while a request is open", err)
			default:
			}
			close(h.goOn)
			busy.wants("GET /busy")
			if err := <-result; err != http.ErrServerClosed { // many compare it so
				t.Errorf("Serve returns %v", err)
			}
			busy.ended()
		})
	}
}

// A keptLog is what was logged, by the package's default logger.
type keptLog struct {
	mu   sync.Mutex
	text strings.Builder
}

// keepLog keeps what is logged until the test ends.
func keepLog(t *testing.T) *keptLog {
	l := new(keptLog)
	log.SetOutput(l)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	return l
}

func (l *keptLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *keptLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What does not end in time is cut off, which the log says and is an end as any
// other to the program.
func TestServeEndsInTime(t *testing.T) {
	logged := keepLog(t)
	w, p := startWorker(t)
	h := newBlocker()
	defer close(h.goOn)
	result := serve(t, w, &http.Server{Handler: h})
	p.want(Ready)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	<-h.begun
	p.say(appendCount(nil, Drain, 20))
	p.sync()
	p.conn.CloseWrite()
	if err := <-result; err != http.ErrServerClosed {
		t.Errorf("Serve returns %v", err)
	}
	if !strings.Contains(logged.String(), "open requests did not finish in time and are cut off") {
		t.Errorf("the log says %q", logged)
	}
}

// While it only drains, requests for other workers' sessions go back as ever.
func TestServeHandsBackWhileDraining(t *testing.T) {
	w, p := startServer(t, echo)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	p.say(appendCount(nil, Drain, uint32(deadline.Milliseconds())))
	<-w.Draining()
	b.send(get("/?sid=theirs"))
	fdpass.Close(p.want(Return).fd)
}

// Nor are they answered here when no connection comes any more: stickyd goes
// on listening until the worker is gone.
func TestServeHandsBackWhileFinishing(t *testing.T) {
	w, p := startServer(t, echo)
	fresh, b := p.browse(1, 0, ""), p.browse(2, 0, "") // Serve waits for the fresh one
	b.send(get("/"))
	b.wants("GET /")
	p.say(appendCount(nil, Drain, uint32(deadline.Milliseconds())))
	p.conn.CloseWrite()
	<-w.ended
	b.send(get("/?sid=theirs"))
	fdpass.Close(p.want(Return).fd)
	b.ended()
	fresh.send(get("/?sid=nobodys"))
	fresh.wants("GET /?sid=nobodys")
}

// When stickyd is gone there is nobody to give a request to. Its session may be
// alive, so nobody may hear that it is unknown.
func TestServeRefusesForeignRequestsWithoutStickyd(t *testing.T) {
	w, p := startServer(t, echo)
	fresh, b := p.browse(1, 0, ""), p.browse(2, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	p.sync()
	p.conn.Shutdown()
	<-w.ended
	b.send(get("/?sid=theirs"))
	if resp, body := b.get("GET"); resp.StatusCode != http.StatusServiceUnavailable || !resp.Close || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %q, %v", resp.StatusCode, body, resp.Header)
	}
	fresh.Close()
}

// Serve without stickyd is srv.Serve.
func TestServeWithoutStickyd(t *testing.T) {
	w, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.Bind(r.Context(), "s1")
		echo(rw, r)
	})}
	result := serve(t, w, srv)
	u := url.URL{Scheme: "http", Host: w.Addr().String(), Path: "/", RawQuery: "sid=x"}
	resp, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "GET /?sid=x" {
		t.Errorf("%q", body)
	}
	srv.Close()
	if err := <-result; err != http.ErrServerClosed {
		t.Errorf("Serve returns %v", err)
	}
}

// The application may shut its server down itself.
func TestServeUnderShutdown(t *testing.T) {
	w, p := startWorker(t)
	srv := &http.Server{Handler: echo}
	result := serve(t, w, srv)
	p.want(Ready)
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-result; err != http.ErrServerClosed {
		t.Errorf("Serve returns %v", err)
	}
	p.want(Leaving)
	p.hand(1, 0, "")
	p.wantNumber(Decline, 1)
}

// Requests of many clients for many sessions, on kept-alive connections, with
// the connections that come back handed out again.
func TestServeManyClients(t *testing.T) {
	w, p := startWorker(t)
	mux := http.NewServeMux()
	mux.Handle("/", echo)
	mux.HandleFunc("/new/{id}", func(rw http.ResponseWriter, r *http.Request) {
		w.Bind(r.Context(), r.PathValue("id"))
		echo(rw, r)
	})
	mux.HandleFunc("/end", func(rw http.ResponseWriter, r *http.Request) {
		w.Unbind(r.URL.Query().Get("sid"))
		echo(rw, r)
	})
	serve(t, w, &http.Server{Handler: mux})
	p.want(Ready)
	const n = 20
	var clients sync.WaitGroup
	for i := range n {
		b := p.browse(uint64(1+i), 0, "")
		clients.Go(func() {
			for j := range 5 {
				id := fmt.Sprintf("%d-%d", i, j)
				for _, target := range []string{"/new/" + id, "/?sid=" + id, "/end?sid=" + id, "/?sid=" + id} {
					// The last one goes back, and is ours when it comes again.
					if _, err := io.WriteString(b, get(target)); err != nil {
						t.Error(err)
						return
					}
					resp, err := http.ReadResponse(b.in, nil)
					if err != nil {
						t.Error(target, err)
						return
					}
					if body, _ := io.ReadAll(resp.Body); string(body) != "GET "+target {
						t.Errorf("%s is answered by %q", target, body)
					}
				}
			}
			b.Close()
		})
	}
	last := uint64(n)
	returned := 0
	for returned < n*5 {
		f := p.hear()
		if f.kind != Return {
			continue
		}
		returned++
		last++
		_, replay, err := parseConn(Return, f.body)
		if err != nil || f.fd < 0 {
			t.Fatal(f.fd, err)
		}
		if flags, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("status flags %#x (%v)", flags, err)
		}
		p.handFD(last, 0, string(replay), f.fd)
		fdpass.Close(f.fd)
	}
	clients.Wait()
}
