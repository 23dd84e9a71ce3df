package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A reply is what a worker answers.
type reply struct {
	Slot   int    `json:"slot"`
	PID    int    `json:"pid"`
	SID    string `json:"sid"`
	Client string `json:"client"`
	status int
}

var sourceAddress atomic.Uint32

// dial connects from an address of 127/8 that changes, so that thousands of
// connections don't run out of ports.
func dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n := sourceAddress.Add(1) % 50
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(2+n))}}
	return d.DialContext(ctx, "tcp", addr)
}

// dialFrom connects from that address.
func dialFrom(t *testing.T, client netip.Addr, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// oneShot is a client that uses each connection once.
var oneShot = &http.Client{
	Timeout:   deadline,
	Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial},
}

func newKeepAlive() *http.Client {
	return &http.Client{Timeout: deadline, Transport: &http.Transport{MaxConnsPerHost: 1, DialContext: dial}}
}

// get asks for a path on a new connection.
func (s *server) get(path string) (reply, error) { return s.getWith(oneShot, path) }

func (s *server) getWith(c *http.Client, path string) (r reply, err error) {
	resp, err := c.Get("http://" + s.addr + path)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return r, fmt.Errorf("reading the body of a %d: %w", resp.StatusCode, err)
	}
	r.status = resp.StatusCode
	if bytes.HasPrefix(body, []byte("{")) {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// mustGet fails the test unless a worker answers with 200.
func (s *server) mustGet(path string) reply {
	s.t.Helper()
	r, err := s.get(path)
	if err != nil || r.status != http.StatusOK {
		s.t.Fatalf("GET %s: status %d, error %v", path, r.status, err)
	}
	return r
}

// talk sends raw bytes on a new connection and returns all that comes back
// until the other side closes.
func (s *server) talk(input string) (string, error) {
	conn, err := dial(context.Background(), "tcp", s.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	if _, err := io.WriteString(conn, input); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// unixClient is a client of a server on a Unix socket.
func unixClient(path string) *http.Client {
	return &http.Client{Timeout: deadline, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

// exchange sends one raw request and reads the worker's reply.
func (s *server) exchange(conn net.Conn, request string) (r reply) {
	s.t.Helper()
	conn.SetDeadline(time.Now().Add(deadline))
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	r.status = resp.StatusCode
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// headerOf returns a field of a raw response.
func headerOf(response, name string) string {
	for _, line := range strings.Split(response, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}
