//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// polling is a session by requests. Its client's connections carry other sessions
// as well, but for the first: on a kept-alive connection a session would begin in the
// worker that has the connection, and all would be in one.
type polling struct {
	load  *load
	first *http.Client
	http  *http.Client
	url   string
}

func (p *polling) kind() string { return "polling" }

func (p *polling) do(c *http.Client, method, body string) (string, error) {
	p.load.judge.figures.add("requests: polling")
	return p.load.do(c, method, p.url, strings.NewReader(body))
}

func (p *polling) open() error {
	p.url = "http://" + p.load.addr + "/socket.io/?EIO=4&transport=polling"
	text, err := p.do(p.first, http.MethodGet, "")
	if err != nil {
		return err
	}
	sid, err := sidOf(text)
	p.url += "&sid=" + sid
	return err
}

// sidOf returns the id in an Engine.IO handshake.
func sidOf(packet string) (string, error) {
	var handshake struct{ SID string }
	if len(packet) == 0 || json.Unmarshal([]byte(packet[1:]), &handshake) != nil || handshake.SID == "" {
		return "", fmt.Errorf("no handshake: %.100q", packet)
	}
	return handshake.SID, nil
}

func (p *polling) send(packet string) error {
	_, err := p.do(p.http, http.MethodPost, packet)
	return err
}

func (p *polling) receive() ([]string, error) {
	text, err := p.do(p.http, http.MethodGet, "")
	return strings.Split(text, "\x1e"), err
}

// close lets the server forget the session; one that it does not know any more
// is as well.
func (p *polling) close() { p.do(p.http, http.MethodPost, "1") }
