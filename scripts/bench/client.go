//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// ask sends one request on a new connection, outside of measurements.
func ask(addr, path string) (*http.Response, []byte, error) { return askFor(patience, addr, path) }

// askFor is ask with another limit on how long it may take.
func askFor(limit time.Duration, addr, path string) (*http.Response, []byte, error) {
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write(closing(path)); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// handshake starts a session and asks for it once, on connections of its own.
// The answer to that says who has it.
func (a app) handshake(addr string) (session, error) {
	resp, body, err := ask(addr, a.Handshake)
	if err != nil {
		return session{}, err
	}
	sid := sessionIn(body)
	if resp.StatusCode != http.StatusOK || len(sid) == 0 {
		return session{}, fmt.Errorf("status %d and no session: %.200q", resp.StatusCode, body)
	}
	resp, _, err = ask(addr, a.Poll+string(sid))
	if err != nil {
		return session{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return session{}, fmt.Errorf("status %d for a session that has just begun", resp.StatusCode)
	}
	return session{ID: string(sid), Worker: resp.Header.Get("X-Worker"), Addr: addr}, nil
}
