package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a client and its worker have to say to each other is none of stickyd's
// business: it uses no processor time for it.
func TestMessagesCostStickydNothing(t *testing.T) {
	const clients, messages, requests = 8, 1_000_000 / 8, 2_000
	s, _ := startReady(t, 2, worker("app"))
	for _, tt := range []struct {
		what string
		talk func(conn net.Conn, r *bufio.Reader) error
	}{
		{"WebSocket messages", func(conn net.Conn, r *bufio.Reader) error { return echoMessages(conn, r, messages) }},
		{"kept-alive requests", func(conn net.Conn, r *bufio.Reader) error { return keepAsking(conn, r, requests) }},
	} {
		before := s.processorTime()
		var talking sync.WaitGroup
		for range clients {
			talking.Go(func() {
				conn, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(deadline))
				if err := tt.talk(conn, bufio.NewReader(conn)); err != nil {
					t.Error(err)
				}
			})
		}
		talking.Wait()
		used := s.processorTime() - before
		t.Logf("%s: stickyd used %v", tt.what, used)
		// A proxy needs some ten seconds for the former.
		if used > 200*time.Millisecond {
			t.Errorf("stickyd used %v while %s passed", used, tt.what)
		}
	}
}

func echoMessages(conn net.Conn, r *bufio.Reader, n int) error {
	io.WriteString(conn, "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	for _, want := range []string{"HTTP/1.1 101 Switching Protocols\r\n", "\r\n"} {
		if line, err := r.ReadString('\n'); line != want {
			return fmt.Errorf("got %q, %v", line, err)
		}
	}
	const size, batch = 64, 50
	sent := []byte(strings.Repeat(strings.Repeat("m", size), batch))
	for range n / batch {
		if _, err := conn.Write(sent); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, make([]byte, len(sent))); err != nil {
			return err
		}
	}
	return nil
}

func keepAsking(conn net.Conn, r *bufio.Reader, n int) error {
	for range n {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
	}
	return nil
}

// processorTime is what all threads of stickyd have used (proc(5), schedstat).
func (s *server) processorTime() (total time.Duration) {
	s.t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		var ns int64
		fmt.Sscan(string(text), &ns)
		total += time.Duration(ns)
	}
	return total
}

// Nor does it when nothing happens.
func TestIdleStickydCostsNothing(t *testing.T) {
	s, _ := startReady(t, 2, worker("app"))
	if r, err := s.get("/"); err != nil || r.status != http.StatusOK {
		t.Fatal(r, err)
	}
	const while = time.Second
	eventually := time.Now().Add(deadline)
	for { // the start may not be over
		before := s.processorTime()
		time.Sleep(while) // the time in which nothing happens
		used := s.processorTime() - before
		if used < 10*time.Millisecond {
			t.Logf("stickyd used %v in %v", used, while)
			return
		}
		if time.Now().After(eventually) {
			t.Fatalf("stickyd used %v in %v of rest", used, while)
		}
	}
}
