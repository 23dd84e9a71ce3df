package main

import (
	"strings"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, text     string
		status, length int
		worker, body   string
		closes         bool
	}{
		{"Go's", "HTTP/1.1 200 OK\r\nX-Worker: 12\r\nContent-Length: 1\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n6", 200, -1, "12", "6", true},
		{"names in lower case, as HAProxy writes them", "HTTP/1.1 200 OK\r\nx-worker: 12\r\ncontent-length: 1\r\n\r\n6", 200, -1, "12", "6", false},
		{"an unknown session", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400, -1, "", "", false},
		{"an upgrade has no length", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nX-Worker: 3\r\n\r\n", 101, -1, "3", "", false},
		{"more behind it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n67HTTP", 200, 40, "", "67", false},
	} {
		if tt.length < 0 {
			tt.length = len(tt.text)
		}
		a, whole, err := parseAnswer([]byte(tt.text))
		if err != nil || !whole || a.status != tt.status || a.length != tt.length || string(a.worker) != tt.worker || string(a.body) != tt.body || a.closes != tt.closes {
			t.Errorf("%s: %+v, %v, %v", tt.name, a, whole, err)
		}
		for n := range tt.length {
			if _, whole, err := parseAnswer([]byte(tt.text[:n])); whole || err != nil {
				t.Errorf("%s, %d bytes of it: whole %v, error %v", tt.name, n, whole, err)
			}
		}
	}
}

func TestParseAnswerRefusesWhatItCannotCheck(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 abc OK\r\nContent-Length: 1\r\n\r\n6",
		"SSH-2.0-OpenSSH\r\n\r\n",
	} {
		if _, _, err := parseAnswer([]byte(text)); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func TestSessionIn(t *testing.T) {
	for body, want := range map[string]string{
		"ABCDEFGHIJ": "ABCDEFGHIJ",
		`0{"sid":"x_-1","upgrades":["websocket"]}`: "x_-1",
		`{"code":1,"message":"unknown"}`:           "",
		"<html>502":                                "",
		"Session ID unknown":                       "",
		"":                                         "",
	} {
		if got := string(sessionIn([]byte(body))); got != want {
			t.Errorf("session in %q = %q, want %q", body, got, want)
		}
	}
}

func TestRequestsAreABrowsers(t *testing.T) {
	for _, b := range [][]byte{closing(goPath), keeping(goPath), upgrading(goPath)} {
		if len(b) < 500 || len(b) > 720 || !strings.HasSuffix(string(b), "\r\n\r\n") || strings.Contains(string(b), "{") {
			t.Errorf("%d bytes:\n%s", len(b), b)
		}
	}
}

const goPath = "/poll?EIO=4&transport=polling&t=Oabc&sid=ABCDEFGHIJKLMNOPQRST"

func TestFramesAreMaskedWithZeros(t *testing.T) {
	for size, header := range map[int]string{64: "\x82\xc0\x00\x00\x00\x00", 16384: "\x82\xfe\x40\x00\x00\x00\x00\x00"} {
		if b := frame(size); !strings.HasPrefix(string(b), header+"abc") || len(b) != len(header)+size {
			t.Errorf("%d bytes: %q…", size, b[:20])
		}
	}
}
