package session

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
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

// TestSessionID reads the corpus that the package for Node workers has to agree
// with (workerproto/node/test/sources.test.mjs).
func TestSessionID(t *testing.T) {
	file, err := os.ReadFile("testdata/ids.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus []struct{ Name, Source, Line, Fields, ID string }
	if err := json.Unmarshal(file, &corpus); err != nil || len(corpus) == 0 {
		t.Fatal(len(corpus), err)
	}
	for _, tt := range corpus {
		t.Run(tt.Name, func(t *testing.T) {
			raw := bytesOf(tt.Line) + " HTTP/1.1\r\n" + host + bytesOf(tt.Fields) + "\r\n"
			s, want := mustParse(t, bytesOf(tt.Source)), bytesOf(tt.ID)
			if got := fromHead(t, s, raw); got != want {
				t.Errorf("from the head: %q, want %q", got, want)
			}
			if got := fromRequest(t, s, raw); got != want {
				t.Errorf("from net/http's request: %q, want %q", got, want)
			}
		})
	}
}

// bytesOf turns a text of the corpus into bytes: each character is one.
func bytesOf(text string) string {
	var b []byte
	for _, char := range text {
		b = append(b, byte(char))
	}
	return string(b)
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
