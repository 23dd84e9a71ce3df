package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// A line is one kept-alive connection over which requests of many sessions go.
type line struct {
	conn net.Conn
	r    *bufio.Reader
	rnd  *rand.Rand
}

func (s *server) openLine(seed int) (*line, error) {
	conn, err := dial(context.Background(), "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	return &line{conn: conn, r: bufio.NewReader(conn), rnd: rand.New(rand.NewPCG(1, uint64(seed)))}, nil
}

// An exchange is one request and what must come back.
type exchange struct {
	owner reply
	body  []byte // nil: a GET
}

// newExchange makes a request of a session: half of them without a body, a few
// with a large one.
func (l *line) newExchange(owner reply) exchange {
	x := exchange{owner: owner}
	size := 0
	switch l.rnd.IntN(200) {
	case 0:
		size = 1 << 20
	case 1, 2, 3:
		size = 100_000
	default:
		if l.rnd.IntN(2) == 0 {
			return x
		}
		size = l.rnd.IntN(6000)
	}
	x.body = make([]byte, size)
	for i := range x.body {
		x.body[i] = byte(l.rnd.Uint32())
	}
	return x
}

// write sends the request, chunked or with a length.
func (l *line) write(w *bytes.Buffer, x exchange) {
	const head = "%s /use?x=1&sid=%s HTTP/1.1\r\nHost: stickyd.test\r\nCookie: sid=wrong; a=b\r\n%s\r\n"
	switch {
	case x.body == nil:
		fmt.Fprintf(w, head, "GET", x.owner.SID, "")
	case l.rnd.IntN(2) == 0:
		fmt.Fprintf(w, head, "POST", x.owner.SID, fmt.Sprintf("Content-Length: %d\r\n", len(x.body)))
		w.Write(x.body)
	default:
		fmt.Fprintf(w, head, "POST", x.owner.SID, "Transfer-Encoding: chunked\r\n")
		for rest := x.body; len(rest) > 0; {
			n := min(len(rest), 1+l.rnd.IntN(50_000))
			fmt.Fprintf(w, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		w.WriteString("0\r\n\r\n")
	}
}

// check reads a response and compares it.
func (l *line) check(x exchange) error {
	resp, err := http.ReadResponse(l.r, nil)
	if err != nil {
		return fmt.Errorf("reading a response: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("reading a body: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("session %s of worker %d: status %d: %s", x.owner.SID, x.owner.PID, resp.StatusCode, body)
	case resp.Header.Get("X-Pid") != strconv.Itoa(x.owner.PID):
		return fmt.Errorf("session of worker %d: worker %s answered", x.owner.PID, resp.Header.Get("X-Pid"))
	case x.body != nil && !bytes.Equal(body, x.body):
		return fmt.Errorf("a body of %d bytes came back as %d other bytes", len(x.body), len(body))
	case resp.Close:
		return fmt.Errorf("the response closes the connection")
	}
	return nil
}

// send does several exchanges, all requests before the first response.
func (l *line) send(xs ...exchange) error {
	var out bytes.Buffer
	for _, x := range xs {
		l.write(&out, x)
	}
	l.conn.SetDeadline(time.Now().Add(deadline))
	sent := make(chan error, 1)
	go func() { // large bodies: the answers must be read meanwhile
		_, err := l.conn.Write(out.Bytes())
		sent <- err
	}()
	for _, x := range xs {
		if err := l.check(x); err != nil {
			return err
		}
	}
	return <-sent
}

func TestManySessionsShareKeptAliveConnections(t *testing.T) {
	const sessions, connections, requests, workers = 1000, 20, 20_000, 4
	s, _ := startReady(t, workers, worker("app"))
	owners := make([]reply, sessions)
	parallel(sessions, connections, func(i int) { owners[i] = s.mustGet("/handshake") })
	var answered atomic.Int64
	parallel(connections, connections, func(i int) {
		l, err := s.openLine(i)
		if err != nil {
			t.Error(err)
			return
		}
		defer l.conn.Close()
		for n := 0; n < requests/connections; {
			xs := []exchange{l.newExchange(owners[l.rnd.IntN(sessions)])}
			for l.rnd.IntN(10) == 0 { // pipelined
				xs = append(xs, l.newExchange(owners[l.rnd.IntN(sessions)]))
			}
			if err := l.send(xs...); err != nil {
				t.Errorf("connection %d, after %d requests: %v", i, n, err)
				return
			}
			n += len(xs)
			answered.Add(int64(len(xs)))
		}
	})
	s.signal(sigTerm)
	s.wait()
	stopped := s.await("stopped", nil)
	t.Logf("%d requests of %d sessions over %d connections: all answered by their owners, %d hand-backs",
		answered.Load(), sessions, connections, stopped.num("returned"))
	if stopped.num("returned") == 0 {
		t.Error("nothing was ever handed back: the test tests nothing")
	}
}

func TestHeadOnAKeptAliveConnectionMayComeInPieces(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"), "--balance", "round-robin")
	a, b := s.mustGet("/handshake"), s.mustGet("/handshake")
	if a.PID == b.PID {
		t.Fatal("round-robin gave both sessions to one worker")
	}
	l, err := s.openLine(1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.conn.Close()
	for i := range 40 {
		x := exchange{owner: []reply{a, b}[i%2], body: []byte("some body")}
		var out bytes.Buffer
		l.write(&out, x)
		raw := out.Bytes()
		cut := min(len(raw)-1, 1+i*5)
		l.conn.Write(raw[:cut])
		l.conn.Write(raw[cut:])
		if err := l.check(x); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

func TestIdThatIsNobodysOnAKeptAliveConnectionIsAnsweredByAWorker(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"))
	c := newKeepAlive()
	s.mustGet("/handshake")
	for range 5 {
		if r, err := s.getWith(c, "/use?sid=nobodys"); err != nil || r.status != http.StatusNotFound {
			t.Errorf("status %d, error %v, want the worker's own 404", r.status, err)
		}
	}
}
