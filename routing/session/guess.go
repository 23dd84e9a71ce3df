package session

import (
	"bytes"
	"slices"
	"strings"
)

// A Guess is a place where a request carries what looks like a session id. All that
// it has of the request is a name, of letters, digits and a few harmless characters.
type Guess struct {
	kind string // as of a source
	name []byte // of the parameter, field or cookie; of a SockJS path, its prefix
}

// AppendGuesses appends to dst, up to its capacity, the places where the request that
// raw begins with carries what looks like a session id: by its name, or as a known
// protocol does it. A request whose head is incomplete has none.
func AppendGuesses(dst []Guess, raw []byte) []Guess {
	head, status := ParseHead(raw, true)
	if status != Complete {
		return dst
	}
	dst = appendPath(dst, head.Target)
	dst = appendQuery(dst, head.Target)
	return appendFields(dst, head.fields)
}

// Spec returns the place as Parse takes it.
func (g Guess) Spec() string {
	if g.kind == inPath {
		return inPath + ":/" + string(g.name) + sockjsPattern
	}
	return g.kind + ":" + string(g.name)
}

// Is reports whether spec, which Parse takes, is that place.
func (g Guess) Is(spec string) bool {
	kind, name, _ := strings.Cut(spec, ":")
	switch {
	case kind != g.kind:
		return false
	case kind == inHeader:
		return equalFold(g.name, name)
	case kind == inPath:
		prefix, ok := strings.CutSuffix(name, sockjsPattern)
		return ok && strings.TrimPrefix(prefix, "/") == string(g.name)
	}
	return string(g.name) == name
}

// add appends a guess if its name can be printed, and pasted into a shell, as it is.
func add(dst []Guess, kind string, name []byte) []Guess {
	if len(dst) == cap(dst) || len(name) == 0 || len(name) > maxName {
		return dst
	}
	for _, c := range name {
		harmless := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
		if !harmless && (c != '/' || kind != inPath) {
			return dst
		}
	}
	return append(dst, Guess{kind, name})
}

// maxName is the longest name of a guess, in bytes.
const maxName = 64

// saysSession reports whether sessions' ids often have that name: sid, sess, or one
// that ends like connect.sid, JSESSIONID, PHPSESSID, Mcp-Session-Id, laravel_session.
func saysSession(name []byte) bool {
	var room [maxName]byte
	if len(name) > len(room) {
		return false
	}
	lower := room[:len(name)]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if string(lower) == "sid" || string(lower) == "sess" {
		return true
	}
	for _, end := range [...]string{"session", "sessionid", "session_id", "session-id", "sessid", ".sid", "_sid"} {
		if len(lower) >= len(end) && string(lower[len(lower)-len(end):]) == end {
			return true
		}
	}
	return false
}

// sockjsPattern follows the prefix in the pattern of a SockJS server's paths: a
// number that says nothing, and the session.
const sockjsPattern = "/*/{}"

// sockjsTransports end the paths of SockJS sessions that take more than one connection
// (https://github.com/sockjs/sockjs-protocol).
var sockjsTransports = []string{"xhr", "xhr_send", "xhr_streaming", "eventsource", "htmlfile", "jsonp", "jsonp_send"}

// appendPath looks for /prefix/000/session/xhr.
func appendPath(dst []Guess, target []byte) []Guess {
	path, _ := splitTarget(target)
	rest, transport := cutLast(path)
	rest, id := cutLast(rest)
	prefix, server := cutLast(rest)
	if len(id) == 0 || len(server) != 3 || !slices.Contains(sockjsTransports, string(transport)) {
		return dst
	}
	if bytes.Contains(prefix, []byte("//")) || bytes.HasSuffix(prefix, []byte("/")) {
		return dst // no pattern has empty segments
	}
	for _, c := range server {
		if c < '0' || c > '9' {
			return dst
		}
	}
	return add(dst, inPath, bytes.TrimPrefix(prefix, []byte("/")))
}

// cutLast returns the last segment of a path, and what stands before it.
func cutLast(path []byte) (before, last []byte) {
	i := bytes.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// signalrID is the length of the shortest ids of SignalR, whose parameter is called
// just id.
const signalrID = 20

func appendQuery(dst []Guess, target []byte) []Guess {
	_, rest := splitTarget(target)
	for len(rest) > 0 {
		var pair []byte
		pair, rest, _ = cut(rest, '&')
		key, value, _ := cut(pair, '=')
		if len(value) > 0 && saysSession(key) || len(value) >= signalrID && string(key) == "id" {
			dst = add(dst, inQuery, key)
		}
	}
	return dst
}

// appendFields looks through header fields. Browsers send cookies with WebSockets as
// well, each of which is a whole session: there a cookie says nothing.
func appendFields(dst []Guess, fields []byte) []Guess {
	before, upgrades := len(dst), false
	for rest := fields; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		key, value, _ := cut(line, ':')
		switch {
		case len(trimSpace(value)) == 0:
		case equalFold(key, "Upgrade"):
			upgrades = true
		case equalFold(key, "Cookie"):
			dst = appendCookies(dst, value)
		case saysSession(key), equalFold(key, "X-Phoenix-Longpoll-Token"):
			dst = add(dst, inHeader, key)
		}
	}
	if upgrades {
		isCookie := func(g Guess) bool { return g.kind == inCookie }
		return append(dst[:before], slices.DeleteFunc(dst[before:], isCookie)...)
	}
	return dst
}

func appendCookies(dst []Guess, field []byte) []Guess {
	for len(field) > 0 {
		var pair []byte
		pair, field, _ = cut(field, ';')
		key, value, _ := cut(trimSpace(pair), '=')
		if len(value) > 0 && (saysSession(key) || string(key) == "io") { // as Socket.IO may call it
			dst = add(dst, inCookie, key)
		}
	}
	return dst
}
