package main

import (
	"bytes"
	"errors"
	"strconv"
)

// An answer is an HTTP response as far as the generator looks at it. Its slices
// are parts of the buffer that it was read from.
type answer struct {
	status int
	worker []byte // who says that it answered: the header X-Worker
	body   []byte
	length int  // of head and body in bytes
	closes bool // the server will close the connection
}

var errAnswer = errors.New("an answer that is not HTTP/1.1 with a Content-Length")

// parseAnswer reads the answer at the beginning of b; whole is false if more of
// it is to come. It allocates nothing: the generator must be cheap.
func parseAnswer(b []byte) (a answer, whole bool, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return answer{}, false, nil
	}
	line, headers, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return answer{}, false, errAnswer
	}
	a.status = number(line[9:12])
	size := -1
	for len(headers) > 0 {
		line, headers, _ = bytes.Cut(headers, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch { // HAProxy writes names in lower case
		case bytes.EqualFold(name, []byte("Content-Length")):
			size = number(value)
		case bytes.EqualFold(name, []byte("X-Worker")):
			a.worker = value
		case bytes.EqualFold(name, []byte("Connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	if a.status == 101 {
		size = 0
	}
	if a.status < 100 || size < 0 {
		return answer{}, false, errAnswer
	}
	a.length = end + 4 + size
	if len(b) < a.length {
		return answer{}, false, nil
	}
	a.body = b[end+4 : a.length]
	return a, true, nil
}

// number returns the value of decimal digits, -1 if they are not that.
func number(digits []byte) int {
	n, err := strconv.Atoi(string(digits))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// sessionIn returns the session id that the answer to a handshake has: all of
// the body, or what Engine.IO's JSON calls sid; nil if there is none.
func sessionIn(body []byte) []byte {
	if _, after, found := bytes.Cut(body, []byte(`"sid":"`)); found {
		sid, _, _ := bytes.Cut(after, []byte(`"`))
		return sid
	}
	if len(body) > 64 || bytes.ContainsAny(body, " {<") {
		return nil
	}
	return body
}
