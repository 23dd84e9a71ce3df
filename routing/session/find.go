package session

// text is how the two sides hold what they look through.
type text interface{ ~string | ~[]byte }

// splitTarget returns the path and the query of a request target in origin or
// absolute form (RFC 9112, section 3.2), and nothing for the other forms.
func splitTarget[T text](target T) (path, query T) {
	if len(target) > 0 && target[0] != '/' {
		scheme, rest, found := cut(target, ':')
		if !found || len(scheme) == 0 || len(rest) < 2 || rest[0] != '/' || rest[1] != '/' {
			return path, query
		}
		target = rest[2:]
		at := 0
		for at < len(target) && target[at] != '/' && target[at] != '?' {
			at++
		}
		target = target[at:]
	}
	target, _, _ = cut(target, '#')
	path, query, _ = cut(target, '?')
	return path, query
}

// findQuery appends the value of the first parameter of that name.
func findQuery[T text](dst []byte, target T, name string) []byte {
	_, rest := splitTarget(target)
	for len(rest) > 0 {
		var pair T
		pair, rest, _ = cut(rest, '&')
		key, value, _ := cut(pair, '=')
		if equalDecoded(key, name, true) {
			return appendDecoded(dst, value, true)
		}
	}
	return nil
}

// findPath appends the segment of the path that stands where {} stands.
func findPath[T text](dst []byte, target T, segments []string) []byte {
	rest, _ := splitTarget(target)
	if len(rest) == 0 {
		return nil
	}
	rest = rest[1:]
	var id []byte
	for i, want := range segments {
		segment, next, more := cut(rest, '/')
		switch {
		case len(segment) == 0:
			return nil
		case want == "{}":
			id = appendDecoded(dst, segment, false)
		case want != "*" && !equalDecoded(segment, want, false):
			return nil
		}
		if !more && i < len(segments)-1 {
			return nil
		}
		rest = next
	}
	return id
}

// findCookie appends the value of the first cookie of that name in a Cookie
// field (RFC 6265, section 5.4).
func findCookie[T text](dst []byte, field T, name string) (id []byte, found bool) {
	for len(field) > 0 {
		var pair T
		pair, field, _ = cut(field, ';')
		key, value, ok := cut(trimSpace(pair), '=')
		if !ok || string(key) != name {
			continue
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		return appendWhole(dst, value), true
	}
	return nil, false
}

// cut is strings.Cut and bytes.Cut with a one-byte separator.
func cut[T text](s T, sep byte) (before, after T, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, s[len(s):], false
}

// trimSpace cuts off optional white space (RFC 9110, section 5.6.3).
func trimSpace[T text](s T) T {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// appendWhole appends s to dst, or returns nil if it is longer than an id.
func appendWhole[T text](dst []byte, s T) []byte {
	if len(s) > MaxID {
		return nil
	}
	return append(dst, s...)
}

// appendDecoded appends s percent-decoded, or returns nil if that is longer
// than an id. What is no escape stands for itself.
func appendDecoded[T text](dst []byte, s T, plusIsSpace bool) []byte {
	for i := 0; i < len(s); {
		c, n := s[i], 1
		if c == '%' || c == '+' { // else no call: ids are looked for in every request
			c, n = decode(s[i:], plusIsSpace)
		}
		if len(dst) == MaxID {
			return nil
		}
		dst = append(dst, c)
		i += n
	}
	return dst
}

// equalDecoded reports whether s, percent-decoded, is name.
func equalDecoded[T text](s T, name string, plusIsSpace bool) bool {
	at := 0
	for i := 0; i < len(s); at++ {
		c, n := s[i], 1
		if c == '%' || c == '+' { // else no call: ids are looked for in every request
			c, n = decode(s[i:], plusIsSpace)
		}
		if at == len(name) || name[at] != c {
			return false
		}
		i += n
	}
	return at == len(name)
}

// decode returns the byte that s begins with and how many bytes stand for it.
func decode[T text](s T, plusIsSpace bool) (c byte, n int) {
	switch {
	case s[0] == '+' && plusIsSpace:
		return ' ', 1
	case s[0] == '%' && len(s) >= 3:
		high, ok1 := unhex(s[1])
		low, ok2 := unhex(s[2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	return s[0], 1
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
