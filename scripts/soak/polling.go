//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// polling is a session by requests. Its client's connections carry other sessions
// as well.
type polling struct {
	load *load
	http *http.Client
	url  string
}

func (p *polling) kind() string { return "polling" }

func (p *polling) do(method, body string) (string, error) {
	p.load.judge.figures.add("requests: polling")
	return p.load.do(p.http, method, p.url, strings.NewReader(body))
}

func (p *polling) open() error {
	p.url = "http://" + p.load.addr + "/socket.io/?EIO=4&transport=polling"
	text, err := p.do(http.MethodGet, "")
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
	_, err := p.do(http.MethodPost, packet)
	return err
}

func (p *polling) receive() ([]string, error) {
	text, err := p.do(http.MethodGet, "")
	return strings.Split(text, "\x1e"), err
}

// close lets the server forget the session; one that it does not know any more
// is as well.
func (p *polling) close() { p.do(http.MethodPost, "1") }
