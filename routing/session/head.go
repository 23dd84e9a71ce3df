package session

import (
	"bytes"
	"iter"
	"strings"
)

// A Status is what ParseHead makes of the bytes that have come so far.
type Status int

const (
	Incomplete   Status = iota // more bytes may make it complete
	Complete                   // as much of the head as was asked for is there
	BadLine                    // no HTTP/1.x request line, whatever follows
	TLSHello                   // a client that speaks TLS
	HTTP2Preface               // a client that speaks HTTP/2 (RFC 9113, section 3.4)
)

// A Head is the beginning of a request. Its slices point into what was parsed.
type Head struct {
	Method []byte
	Target []byte // as it stands on the request line; nil if that is not whole
	Proto  []byte

	// Len is how many bytes of what was parsed are the head: up to the blank
	// line, or up to the request line if no more was asked for.
	Len int

	fields []byte // the field lines, if they were asked for
}

const (
	maxBlankBytes = 8  // CRs and LFs before the request line (RFC 9112, section 2.2)
	maxMethod     = 32 // bytes
)

// ParseHead reads the beginning of a request. Without needHeader a whole
// request line is complete; with it, the blank line behind the fields is
// needed as well. What is bad is found as early as it can be, so that a client
// of another protocol is not left waiting.
//
// Bytes that continue b never change a status other than Incomplete, nor what
// is in the Head of one that is Complete.
func ParseHead(b []byte, needHeader bool) (Head, Status) {
	all := len(b)
	b, ok := cutBlank(b)
	if !ok {
		return Head{}, BadLine
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return Head{}, checkPartialLine(b)
	}
	head, status := parseLine(bytes.TrimSuffix(b[:end], []byte("\r")))
	rest := b[end+1:]
	if status == Complete && needHeader {
		var ok bool
		if head.fields, rest, ok = cutFields(rest); !ok {
			return head, Incomplete
		}
	}
	if status == Complete {
		head.Len = all - len(rest)
	}
	return head, status
}

// HeadLen returns the length of the head that b begins with, which somebody
// else has parsed and found to have that method and target; ok is false where
// it does not, or is not whole.
func HeadLen(b []byte, method, target string) (n int, ok bool) {
	rest, _ := cutBlank(b)
	for _, word := range [...]string{method, target} {
		n := len(word)
		if len(rest) <= n || string(rest[:n]) != word || rest[n] != ' ' {
			return 0, false
		}
		rest = rest[n+1:]
	}
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		return 0, false
	}
	_, rest, ok = cutFields(rest[end+1:])
	return len(b) - len(rest), ok
}

// cutBlank returns what stands behind the empty lines before a request line;
// ok is false if there are too many.
func cutBlank(b []byte) (rest []byte, ok bool) {
	for i := 0; len(b) > 0 && (b[0] == '\r' || b[0] == '\n'); i++ {
		if i == maxBlankBytes {
			return b, false
		}
		b = b[1:]
	}
	return b, true
}

// checkPartialLine looks at a request line whose end has not come.
func checkPartialLine(b []byte) Status {
	method, rest, found := bytes.Cut(b, []byte(" "))
	switch {
	case len(b) > 0 && b[0] == 0x16: // a TLS record of type handshake (RFC 8446, section 5.1)
		return TLSHello
	case !isToken(bytes.TrimSuffix(method, []byte("\r"))) && len(b) > 0, len(method) > maxMethod, found && len(method) == 0:
		return BadLine
	case bytes.HasSuffix(method, []byte("\r")):
		return BadLine
	case hasControl(bytes.TrimSuffix(rest, []byte("\r"))):
		return BadLine
	}
	return Incomplete
}

func parseLine(line []byte) (Head, Status) {
	if len(line) > 0 && line[0] == 0x16 {
		return Head{}, TLSHello
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, proto, found := bytes.Cut(rest, []byte(" "))
	switch {
	case !found, len(target) == 0, len(method) == 0, len(method) > maxMethod, !isToken(method),
		hasControl(target):
		return Head{}, BadLine
	case string(method) == "PRI" && string(proto) == "HTTP/2.0":
		return Head{}, HTTP2Preface
	case len(proto) != len("HTTP/1.1"), string(proto[:7]) != "HTTP/1.", proto[7] < '0', proto[7] > '9':
		return Head{}, BadLine
	}
	return Head{Method: method, Target: target, Proto: proto}, Complete
}

// cutFields returns the field lines at the start of b and what follows the
// blank line that ends them; ok is false if that is not there.
func cutFields(b []byte) (fields, rest []byte, ok bool) {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return nil, nil, false
		}
		if n == 0 || n == 1 && b[at] == '\r' {
			return b[:at], b[at+n+1:], true
		}
		at += n + 1
	}
}

// hasControl looks at bytes: what is no ASCII has none that looks like a
// control character.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

// isToken reports whether b has only characters of a token (RFC 9110, section
// 5.6.2).
func isToken[T text](b T) bool {
	for i := range len(b) {
		c := b[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// Values yields the values of the fields of that name, in their order, without
// the white space around them. A value that was folded over several lines
// (RFC 9112, section 5.2) is joined by single spaces, as net/http does.
func (h *Head) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := h.fields; len(rest) > 0; {
			var line []byte
			line, rest = cutLine(rest)
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				var more []byte
				more, rest = cutLine(rest)
				line = append(append(bytes.Clone(line), ' '), trimSpace(more)...)
			}
			key, value, found := bytes.Cut(line, []byte(":"))
			if found && equalFold(key, name) && !yield(trimSpace(value)) {
				return
			}
		}
	}
}

// cutLine returns the first line without the white space at its end, and the
// rest.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimRight(bytes.TrimSuffix(line, []byte("\r")), " \t"), rest
}

func equalFold(key []byte, name string) bool {
	return len(key) == len(name) && strings.EqualFold(string(key), name)
}
