package session

import (
	"fmt"
	"iter"
	"net/textproto"
	"slices"
	"strings"
)

// MaxID is the length of the longest session id in bytes. A longer one is no
// session id: nothing can be registered under it.
const MaxID = 256

// Sources are the places where a session id may stand, in the order in which
// they are looked at. None at all is valid: then no request has a session.
type Sources []source

// A source is one place.
type source struct {
	spec     string // as it was written
	kind     string
	name     string   // of the parameter, field or cookie
	segments []string // of the path pattern
}

// The kinds of sources.
const (
	inQuery  = "query"
	inHeader = "header"
	inCookie = "cookie"
	inPath   = "path"
	nowhere  = "none"
)

// Parse reads sources. Each is written in one of these ways:
//
//	query:NAME      the parameter NAME in the query, percent-decoded
//	header:NAME     the header field NAME
//	cookie:NAME     the cookie NAME
//	path:PATTERN    a segment of the path, percent-decoded
//	none            there are no sessions; it stands alone
//
// A PATTERN is a path from its beginning, such as /echo/*/{}: * stands for any
// one segment, {} for the one that is the id, and any number of segments may
// follow.
func Parse(specs []string) (Sources, error) {
	if len(specs) == 1 && specs[0] == nowhere {
		return nil, nil
	}
	var all Sources
	for _, spec := range specs {
		s, err := parseSource(spec)
		if err != nil {
			return nil, fmt.Errorf("session source %q: %w", spec, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func parseSource(spec string) (source, error) {
	kind, name, _ := strings.Cut(spec, ":")
	s := source{spec: spec, kind: kind, name: name}
	switch kind {
	case inQuery:
		if name == "" {
			return s, fmt.Errorf("no parameter is named; write for example query:sid")
		}
	case inHeader:
		s.name = textproto.CanonicalMIMEHeaderKey(name)
		if name == "" || !isToken(name) {
			return s, fmt.Errorf("%q is not the name of a header field; write for example header:Mcp-Session-Id", name)
		}
		switch s.name {
		case "Host", "Transfer-Encoding", "Trailer": // net/http keeps them elsewhere
			return s, fmt.Errorf("the field %s can't be a session id", s.name)
		}
	case inCookie:
		if name == "" || !isToken(name) {
			return s, fmt.Errorf("%q is not the name of a cookie; write for example cookie:JSESSIONID", name)
		}
	case inPath:
		return s, s.parsePattern(name)
	case nowhere:
		return s, fmt.Errorf("none must stand alone")
	default:
		return s, fmt.Errorf("must be query:NAME, header:NAME, cookie:NAME, path:/PATTERN or none")
	}
	return s, nil
}

func (s *source) parsePattern(pattern string) error {
	path, ok := strings.CutPrefix(pattern, "/")
	if !ok {
		return fmt.Errorf("the pattern must begin with /, as in path:/echo/*/{}")
	}
	s.segments = strings.Split(path, "/")
	ids := 0
	for _, segment := range s.segments {
		switch {
		case segment == "{}":
			ids++
		case segment == "":
			return fmt.Errorf("the pattern has an empty segment")
		case segment != "*" && strings.ContainsAny(segment, "*{}?#"):
			return fmt.Errorf("the segment %q must be a plain word, * or {}", segment)
		}
	}
	if ids != 1 {
		return fmt.Errorf("the pattern must have one {}, where the id stands, as in path:/echo/*/{}")
	}
	return nil
}

// Strings returns the sources as they were written; Parse takes them back.
func (s Sources) Strings() []string {
	var specs []string
	for _, source := range s {
		specs = append(specs, source.spec)
	}
	return specs
}

// NeedHeader reports whether the request line is not enough to find an id.
func (s Sources) NeedHeader() bool {
	for _, source := range s {
		if source.kind == inHeader || source.kind == inCookie {
			return true
		}
	}
	return false
}

// FromHead returns the session id of a request, nil if it has none: the first
// source with one of 1 to MaxID bytes, which is the one of that index. The id is
// put into dst, which has MaxID bytes.
func (s Sources) FromHead(dst []byte, h *Head) (id []byte, source int) {
	dst = dst[:0:MaxID]
	for i := range s {
		if s[i].inTarget() {
			id = findInTarget(&s[i], dst, h.Target)
		} else {
			fields := *h // a copy, so that h does not escape where there is no such source
			id = findInFields(&s[i], dst, fields.Values)
		}
		if len(id) > 0 {
			return id, i
		}
	}
	return nil, -1
}

// FromRequest does the same for a request that net/http has parsed, of which
// target is the RequestURI and header the Header.
func (s Sources) FromRequest(dst []byte, target string, header map[string][]string) []byte {
	dst = dst[:0:MaxID]
	for i := range s {
		var id []byte
		if s[i].inTarget() {
			id = findInTarget(&s[i], dst, target)
		} else {
			id = findInFields(&s[i], dst, func(name string) iter.Seq[string] { return slices.Values(header[name]) })
		}
		if len(id) > 0 {
			return id
		}
	}
	return nil
}

func (s *source) inTarget() bool { return s.kind == inQuery || s.kind == inPath }

// findInTarget appends the id in a request target to dst. An id that does not
// fit is none.
func findInTarget[T text](s *source, dst []byte, target T) []byte {
	if s.kind == inPath {
		return findPath(dst, target, s.segments)
	}
	return findQuery(dst, target, s.name)
}

// findInFields appends the id in header fields, of which values yields those
// of a name.
func findInFields[T text](s *source, dst []byte, values func(name string) iter.Seq[T]) []byte {
	if s.kind == inCookie {
		for v := range values("Cookie") {
			if id, found := findCookie(dst, v, s.name); found {
				return id
			}
		}
		return nil
	}
	for v := range values(s.name) {
		if v = trimSpace(v); len(v) > 0 {
			return appendWhole(dst, v)
		}
	}
	return nil
}
