package session

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func mustParse(t testing.TB, specs ...string) Sources {
	t.Helper()
	s, err := Parse(specs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fromHead and fromRequest are the two sides' ways to the same answer.
func fromHead(t testing.TB, s Sources, raw string) string {
	t.Helper()
	head, status := ParseHead([]byte(raw), s.NeedHeader())
	if status != Complete {
		t.Fatalf("status %d of %q", status, raw)
	}
	id, source := s.FromHead(make([]byte, MaxID), &head)
	if none := len(id) == 0; none != (source < 0) {
		t.Errorf("%q comes from source %d", id, source)
	} else if !none {
		if alone, _ := s[source:source+1].FromHead(make([]byte, MaxID), &head); string(alone) != string(id) {
			t.Errorf("%q comes from source %d, which has %q", id, source, alone)
		}
	}
	return string(id)
}

func fromRequest(t testing.TB, s Sources, raw string) string {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("net/http: %v in %q", err, raw)
	}
	return string(s.FromRequest(make([]byte, MaxID), r.RequestURI, r.Header))
}

const host = "Host: stickyd.test\r\n"

func TestSessionID(t *testing.T) {
	long := strings.Repeat("a", 256)
	const uuid = "0b5e7f0a-9d0c-4f6e-8a55-2a3c1c5d9b11"
	for _, tt := range []struct {
		name, spec, line, fields, want string
	}{
		{"Engine.IO v4 poll", "query:sid", "GET /socket.io/?EIO=4&transport=polling&t=P7&sid=aB3_-xYz0123456789AA", "", "aB3_-xYz0123456789AA"},
		{"Engine.IO v3 with JSONP", "query:sid", "GET /engine.io/?EIO=3&j=0&b64=1&sid=x&transport=polling", "", "x"},
		{"handshake", "query:sid", "GET /socket.io/?EIO=4&transport=polling", "", ""},
		{"WebSocket with a UUID", "query:sid", "GET /ws?sid=" + uuid, "Upgrade: websocket\r\n", uuid},
		{"first parameter", "query:sid", "GET /?sid=a&x=b", "", "a"},
		{"last parameter", "query:sid", "GET /?x=b&sid=a", "", "a"},
		{"longer name that ends alike", "query:sid", "GET /?xsid=a&mysid=b", "", ""},
		{"longer name that begins alike", "query:sid", "GET /?sidx=a&sid2=b", "", ""},
		{"name in another's value", "query:sid", "GET /?x=sid=a&y=?sid=b", "", ""},
		{"name in the path", "query:sid", "GET /sid=a/&sid=b", "", ""},
		{"name in the fragment", "query:sid", "GET /?x=1#&sid=a", "", ""},
		{"Referer", "query:sid", "GET /", "Referer: http://h/?sid=a\r\n", ""},
		{"cookie of that name", "query:sid", "GET /", "Cookie: sid=a\r\n", ""},
		{"field of that name", "query:sid", "GET /", "sid: a\r\n", ""},
		{"body", "query:sid", "POST /", "Content-Length: 5\r\n\r\nsid=a", ""},
		{"twice: the first counts", "query:sid", "GET /?sid=a&sid=b", "", "a"},
		{"twice, the first empty: it counts", "query:sid", "GET /?sid=&sid=b", "", ""},
		{"empty value", "query:sid", "GET /?sid=", "", ""},
		{"no value", "query:sid", "GET /?sid", "", ""},
		{"percent-encoded value", "query:sid", "GET /?sid=%41%2fb%3D", "", "A/b="},
		{"percent-encoded name", "query:sid", "GET /?s%69d=a", "", "a"},
		{"plus is a space", "query:sid", "GET /?sid=a+b", "", "a b"},
		{"no escape after the percent sign", "query:sid", "GET /?sid=a%zz%4", "", "a%zz%4"},
		{"256 bytes", "query:sid", "GET /?sid=" + long, "", long},
		{"257 bytes are no id", "query:sid", "GET /?sid=" + long + "a", "", ""},
		{"256 bytes, all encoded", "query:sid", "GET /?sid=" + strings.Repeat("%61", 256), "", long},
		{"absolute form", "query:sid", "GET http://stickyd.test/p?sid=a", "", "a"},
		{"absolute form without a path", "query:sid", "GET http://stickyd.test?sid=a", "", "a"},
		{"asterisk form", "query:sid", "OPTIONS *", "", ""},
		{"preflight", "query:sid", "OPTIONS /?sid=a", "Origin: http://o\r\nAccess-Control-Request-Method: POST\r\n", "a"},
		{"SignalR", "query:id", "POST /chat?id=Tok3n_-", "", "Tok3n_-"},
		{"another case of the name", "query:sid", "GET /?SID=a", "", ""},

		{"MCP", "header:Mcp-Session-Id", "POST /mcp", "mcp-session-id:  !a~ \r\n", "!a~"},
		{"field that is empty, then one that is not", "header:X-S", "GET /", "X-S: \r\nX-S: b\r\n", "b"},
		{"two fields: the first counts", "header:X-S", "GET /", "X-S: a\r\nX-S: b\r\n", "a"},
		{"field of 257 bytes", "header:X-S", "GET /", "X-S: " + long + "a\r\n", ""},
		{"field whose name only begins so", "header:X-S", "GET /", "X-S-T: a\r\n", ""},
		{"folded field", "header:X-S", "GET /", "X-S: a\r\n  b\r\n", "a b"},

		{"cookie", "cookie:JSESSIONID", "GET /", "Cookie: a=b; JSESSIONID=0A1B.node1; c=d\r\n", "0A1B.node1"},
		{"cookie in quotes", "cookie:s", "GET /", "Cookie: s=\"a b\"\r\n", "a b"},
		{"cookies in two fields", "cookie:s", "GET /", "Cookie: a=b\r\nCookie: s=x\r\n", "x"},
		{"cookie of another case", "cookie:s", "GET /", "Cookie: S=x\r\n", ""},
		{"cookie whose name ends so", "cookie:s", "GET /", "Cookie: xs=1;s=2\r\n", "2"},
		{"cookie that is not decoded", "cookie:s", "GET /", "Cookie: s=%41\r\n", "%41"},

		{"SockJS", "path:/echo/*/{}", "POST /echo/000/abcd1234/xhr_send?t=1", "", "abcd1234"},
		{"path that ends with the id", "path:/echo/*/{}", "GET /echo/1/x", "", "x"},
		{"path that is too short", "path:/echo/*/{}", "GET /echo/000", "", ""},
		{"path with an empty segment", "path:/echo/*/{}", "GET /echo//x", "", ""},
		{"path with another word", "path:/echo/*/{}", "GET /ech/0/x", "", ""},
		{"path, encoded", "path:/a/{}/end", "GET /%61/x%2Fy+/end/more", "", "x/y+"},
		{"word behind the id is missing", "path:/a/{}/end", "GET /a/x/other", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.line + " HTTP/1.1\r\n" + host + tt.fields + "\r\n"
			s := mustParse(t, tt.spec)
			if got := fromHead(t, s, raw); got != tt.want {
				t.Errorf("from the head: %q, want %q", got, tt.want)
			}
			if got := fromRequest(t, s, raw); got != tt.want {
				t.Errorf("from net/http's request: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSourcesAreLookedAtInTheirOrder(t *testing.T) {
	raw := "GET /c/p?q=Q HTTP/1.1\r\n" + host + "H: h\r\nCookie: k=K\r\n\r\n"
	for _, tt := range []struct {
		specs []string
		want  string
	}{
		{[]string{"query:q", "header:H"}, "Q"},
		{[]string{"header:H", "query:q"}, "h"},
		{[]string{"query:x", "cookie:y", "path:/d/{}", "cookie:k"}, "K"},
		{[]string{"path:/c/{}", "cookie:k"}, "p"},
		{[]string{"none"}, ""},
	} {
		if got := fromHead(t, mustParse(t, tt.specs...), raw); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.specs, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ spec, want string }{
		{"sid", "must be query:NAME"},
		{"", "must be query:NAME"},
		{"body:sid", "must be query:NAME"},
		{"query:", "no parameter is named"},
		{"header:", "not the name of a header field"},
		{"header:a b", "not the name of a header field"},
		{"header:host", "can't be a session id"},
		{"cookie:a;b", "not the name of a cookie"},
		{"path:echo/{}", "must begin with /"},
		{"path:/echo", "must have one {}"},
		{"path:/{}/{}", "must have one {}"},
		{"path:/a//{}", "empty segment"},
		{"path:/a*/{}", "must be a plain word"},
	} {
		if _, err := Parse([]string{tt.spec}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q): %v, want %q in it", tt.spec, err, tt.want)
		}
	}
	if _, err := Parse([]string{"none", "query:sid"}); err == nil || !strings.Contains(err.Error(), "alone") {
		t.Error("none beside another:", err)
	}
}

func TestStringsComeBack(t *testing.T) {
	specs := []string{"query:sid", "header:mcp-session-id", "cookie:s", "path:/a/*/{}"}
	s := mustParse(t, specs...)
	if got := s.Strings(); !slices.Equal(got, specs) {
		t.Errorf("Strings() = %q, want %q", got, specs)
	}
	if !s.NeedHeader() || mustParse(t, "query:a", "path:/{}").NeedHeader() {
		t.Error("NeedHeader is wrong")
	}
}

// heads are whole heads as clients send them.
var heads = []string{
	"GET /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\n" + host + "Accept: */*\r\nCookie: sid=c; x=y\r\n\r\n",
	"POST /mcp HTTP/1.1\r\n" + host + "Mcp-Session-Id: m\r\nContent-Length: 0\r\n\r\n",
	"GET /echo/000/s/websocket HTTP/1.0\n\n",
	"\r\nPATCH http://h/x?sid=%41+ HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
}

func TestHeadThatComesInPiecesIsIncompleteUntilItIsWhole(t *testing.T) {
	for _, head := range heads {
		for n := range len(head) {
			if _, status := ParseHead([]byte(head[:n]), true); status != Incomplete {
				t.Errorf("status %d of %q", status, head[:n])
			}
		}
		h, status := ParseHead([]byte(head+"body"), true)
		if status != Complete || h.Len != len(head) {
			t.Errorf("status %d, length %d of %q with a body behind", status, h.Len, head)
		}
		end := strings.IndexByte(strings.TrimLeft(head, "\r\n"), '\n') + 1 + len(head) - len(strings.TrimLeft(head, "\r\n"))
		if h, status := ParseHead([]byte(head), false); status != Complete || h.Len != end {
			t.Errorf("the line alone: status %d, length %d, want %d, of %q", status, h.Len, end, head)
		}
	}
}

func TestWhatIsNoRequestIsSeenAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		want        Status
	}{
		{"TLS", "\x16\x03\x01", TLSHello},
		{"the first byte of TLS", "\x16", TLSHello},
		{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2Preface},
		{"a zero byte", "\x00", BadLine},
		{"a bracket in the method", "GE(", BadLine},
		{"an endless method", strings.Repeat("A", 33), BadLine},
		{"a space first", " GET / HTTP/1.1\r\n", BadLine},
		{"HTTP/0.9", "GET /\r\n", BadLine},
		{"a version of HTTP/2", "GET / HTTP/2.0\r\n", BadLine},
		{"a version of two digits", "GET / HTTP/1.10\r\n", BadLine},
		{"no target", "GET  HTTP/1.1\r\n", BadLine},
		{"a space in the target", "GET /a b HTTP/1.1\r\n", BadLine},
		{"a control character", "GET /\x01", BadLine},
		{"blank lines without end", strings.Repeat("\r\n", 5), BadLine},
	} {
		if _, status := ParseHead([]byte(tt.input), true); status != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, status, tt.want)
		}
	}
}

func TestFindingAnIdAllocatesNothing(t *testing.T) {
	s := mustParse(t, "query:sid", "path:/echo/*/{}")
	raw := []byte(heads[0])
	dst := make([]byte, MaxID)
	if n := testing.AllocsPerRun(100, func() {
		head, _ := ParseHead(raw, false)
		if id, _ := s.FromHead(dst, &head); len(id) == 0 {
			t.Fatal("no id")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseHead(f *testing.F) {
	for _, head := range heads {
		f.Add([]byte(head), []byte("more"))
		f.Add([]byte(head[:len(head)/2]), []byte(head[len(head)/2:]))
	}
	f.Add([]byte("\x16\x03"), []byte("\x01"))
	f.Add([]byte("PRI * HTTP/2.0\r\n"), []byte("\r\nSM"))
	f.Fuzz(func(t *testing.T, b, more []byte) {
		for _, needHeader := range []bool{false, true} {
			before, status := ParseHead(b, needHeader)
			after, statusAfter := ParseHead(slices.Concat(b, more), needHeader)
			if status == Incomplete {
				continue
			}
			if statusAfter != status || !bytes.Equal(before.Target, after.Target) ||
				!bytes.Equal(before.Method, after.Method) || before.Len != after.Len {
				t.Errorf("%q: status %d, %+v; with %q behind: %d, %+v", b, status, before, more, statusAfter, after)
			}
		}
	})
}

// FuzzSameAnswer: what the front reads in a head, the worker's library reads
// in the request that net/http made of it.
func FuzzSameAnswer(f *testing.F) {
	for _, head := range heads {
		f.Add([]byte(head))
	}
	s := mustParse(f, "query:sid", "header:Mcp-Session-Id", "header:X", "cookie:sid", "path:/echo/*/{}")
	each := []Sources{s[:1], s[1:2], s[2:3], s[3:4], s[4:5], s}
	f.Fuzz(func(t *testing.T, raw []byte) {
		head, status := ParseHead(raw, true)
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || r.ProtoMajor != 1 {
			return
		}
		if !slices.Equal(raw[:1], []byte("\r")) && !slices.Equal(raw[:1], []byte("\n")) && status != Complete && len(r.Method) <= maxMethod {
			t.Fatalf("net/http reads %q, and we say %d", raw, status)
		}
		if status != Complete {
			return
		}
		for _, s := range each {
			var a, b [MaxID]byte
			front, _ := s.FromHead(a[:], &head)
			worker := s.FromRequest(b[:], r.RequestURI, r.Header)
			if !bytes.Equal(front, worker) {
				t.Errorf("%v of %q: the front reads %q, the worker %q", s.Strings(), raw, front, worker)
			}
		}
	})
}

// HeadLen measures what ParseHead parses, and nothing else.
func TestHeadLen(t *testing.T) {
	const whole = "GET /a?sid=1 HTTP/1.1\r\nHost: h\r\nX: GET /b HTTP/1.1\r\n\r\n"
	for _, tt := range []struct {
		name, raw, method, target string
		want                      int // -1: not ok
	}{
		{"whole", whole, "GET", "/a?sid=1", len(whole)},
		{"more behind it", whole + whole, "GET", "/a?sid=1", len(whole)},
		{"empty lines before it", "\r\n\r\n" + whole, "GET", "/a?sid=1", 4 + len(whole)},
		{"too many of them", strings.Repeat("\r\n", 5) + whole, "GET", "/a?sid=1", -1},
		{"bare line feeds", strings.ReplaceAll(whole, "\r", ""), "GET", "/a?sid=1", len(whole) - 4},
		{"another method", whole, "PUT", "/a?sid=1", -1},
		{"a longer method", whole, "GE", "/a?sid=1", -1},
		{"another target", whole, "GET", "/b?sid=1", -1},
		{"the beginning of a target", whole, "GET", "/a?sid=", -1},
		{"no blank line", whole[:len(whole)-2], "GET", "/a?sid=1", -1},
		{"no end of the line", "GET /a?sid=1 HTTP/1.1", "GET", "/a?sid=1", -1},
		{"nothing", "", "GET", "/a?sid=1", -1},
	} {
		n, ok := HeadLen([]byte(tt.raw), tt.method, tt.target)
		if ok != (tt.want >= 0) || ok && n != tt.want {
			t.Errorf("%s: %d, %v, want %d", tt.name, n, ok, tt.want)
		}
		head, status := ParseHead([]byte(tt.raw), true)
		if ok && (status != Complete || head.Len != n) {
			t.Errorf("%s: ParseHead has %d bytes, status %v", tt.name, head.Len, status)
		}
	}
}

func BenchmarkFindInBrowserHead(b *testing.B) {
	s := mustParse(b, "query:sid")
	raw := []byte("GET /socket.io/?EIO=4&transport=polling&t=P7abc&sid=aB3_-xYz0123456789AA HTTP/1.1\r\n" + host +
		strings.Repeat("X-Filler: 0123456789012345678901234567890123456789\r\n", 8) + "\r\n")
	dst := make([]byte, MaxID)
	b.ReportAllocs()
	for b.Loop() {
		head, _ := ParseHead(raw, false)
		s.FromHead(dst, &head)
	}
}
