package workerproto

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// roundRequests is how many requests of a kind come on each connection in
	// a row, so that what the machine does besides meets both kinds.
	roundRequests = 100

	// benchConns is how many connections of a kind are busy at a time.
	benchConns = 8
)

// BenchmarkKeepAlive serves requests on two kinds of kept-alive connections, in
// turns: those that net/http has accepted, and those that came through a
// Worker. It reports the CPU time that a request costs this process (the
// client is another one), and the ratio.
func BenchmarkKeepAlive(b *testing.B) {
	for _, bb := range []struct{ name, request string }{
		{"session", "GET " + browserTarget + " HTTP/1.1\r\n" + browserFields},
		{"no-session", "GET /asset HTTP/1.1\r\n" + browserFields},
		{"post", "POST " + browserTarget + " HTTP/1.1\r\nContent-Length: 512\r\n" + browserFields + strings.Repeat("x", 512)},
	} {
		b.Run(bb.name, func(b *testing.B) { benchKeepAlive(b, bb.request) })
	}
}

func benchKeepAlive(b *testing.B, request string) {
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(rw, "hello, world")
	})
	w, p := startServer(b, handler)
	w.Bind(b.Context(), "aB3_-xYz0123456789AA")
	p.want(Bind)
	conns := dialPlain(b, handler)
	for i := range benchConns {
		conns = append(conns, p.hand(uint64(i+1), 0, ""))
	}
	client := startBenchClient(b, request, conns)
	for kind := range byte(2) {
		client.do(kind) // warms up
	}
	var spent [2]time.Duration
	turn := 0
	for b.Loop() {
		for _, kind := range [][]byte{{0, 1}, {1, 0}}[turn%2] {
			before := cpuTime()
			client.do(kind)
			spent[kind] += cpuTime() - before
		}
		turn++
	}
	for kind, unit := range []string{"plain-µs/request", "worker-µs/request"} {
		b.ReportMetric(float64(spent[kind].Nanoseconds())/1e3/float64(b.N*benchConns*roundRequests), unit)
	}
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// dialPlain returns the client's ends of connections to net/http by itself.
func dialPlain(b *testing.B, handler http.Handler) (conns []*net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: handler}
	go srv.Serve(ln)
	b.Cleanup(func() { srv.Close() })
	for range benchConns {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		conns = append(conns, c.(*net.TCPConn))
	}
	return conns
}

// cpuTime is what this process has used until now.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const envBenchClient = "WORKERPROTO_BENCH_CLIENT" // the request to send

// A benchClient is a process that sends requests over connections.
type benchClient struct {
	b   *testing.B
	in  io.Writer
	out io.Reader
}

func startBenchClient(b *testing.B, request string, conns []*net.TCPConn) *benchClient {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchClient$")
	cmd.Env = append(os.Environ(), envBenchClient+"="+request)
	for _, c := range conns {
		f, err := c.File()
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	return &benchClient{b, in, out}
}

// do sends a round of requests over the connections of a kind.
func (c *benchClient) do(kind byte) {
	_, err := c.in.Write([]byte{kind})
	if err == nil {
		_, err = io.ReadFull(c.out, make([]byte, 1))
	}
	if err != nil {
		c.b.Fatal("the client has ended: ", err)
	}
}

// TestBenchClient is no test but the process that startBenchClient starts.
func TestBenchClient(t *testing.T) {
	request := os.Getenv(envBenchClient)
	if request == "" {
		t.Skip("only a benchmark's client")
	}
	defer os.Exit(0) // without a word to stdout
	var clients []func()
	for i := range 2 * benchConns {
		conn := os.NewFile(uintptr(3+i), "connection")
		in := bufio.NewReader(conn)
		clients = append(clients, func() {
			for range roundRequests {
				io.WriteString(conn, request)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					os.Exit(1)
				}
				io.Copy(io.Discard, resp.Body)
			}
		})
	}
	kind := make([]byte, 1)
	for {
		if _, err := io.ReadFull(os.Stdin, kind); err != nil {
			return
		}
		var busy sync.WaitGroup
		for i := range benchConns {
			busy.Go(clients[int(kind[0])*benchConns+i])
		}
		busy.Wait()
		os.Stdout.Write(kind)
	}
}
