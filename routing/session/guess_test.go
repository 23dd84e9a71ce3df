package session

import (
	"slices"
	"strings"
	"testing"
)

func guesses(raw string) (specs []string) {
	for _, g := range AppendGuesses(make([]Guess, 0, 4), []byte(raw)) {
		specs = append(specs, g.Spec())
	}
	return specs
}

func TestGuesses(t *testing.T) {
	for _, tt := range []struct {
		name, line, fields string
		want               []string
	}{
		{"nothing", "GET /", "Accept: */*\r\n", nil},
		{"Express", "GET /", "Cookie: theme=dark; connect.sid=s%3Aabc.def\r\n", []string{"cookie:connect.sid"}},
		{"a servlet", "GET /", "cookie: JSESSIONID=0A1B\r\n", []string{"cookie:JSESSIONID"}},
		{"PHP and Django", "GET /", "Cookie: PHPSESSID=a; sessionid=b\r\n", []string{"cookie:PHPSESSID", "cookie:sessionid"}},
		{"Rails", "GET /", "Cookie: _shop_session=a\r\n", []string{"cookie:_shop_session"}},
		{"ASP.NET", "GET /", "Cookie: .AspNetCore.Session=a\r\n", []string{"cookie:.AspNetCore.Session"}},
		{"MCP", "POST /mcp", "mcp-session-id: a\r\n", []string{"header:mcp-session-id"}},
		{"Engine.IO", "GET /socket.io/?EIO=4&transport=polling&sid=a", "", []string{"query:sid"}},
		{"SignalR", "GET /chat?id=AAAAAAAAAAAAAAAAAAAAAA", "", []string{"query:id"}},
		{"an id that may be of anything", "GET /article?id=17", "", nil},
		{"SockJS", "POST /a/echo/000/abcd1234/xhr_send?t=1", "", []string{"path:/a/echo/*/{}"}},
		{"a path that only looks so", "GET /echo/abc/abcd1234/xhr", "", nil},
		{"one without a prefix", "GET /000/abcd1234/xhr", "", nil},
		{"empty segments", "GET /a//b/000/abcd1234/xhr", "", nil},
		{"an empty segment at the end", "GET /a//000/abcd1234/xhr", "", nil},
		{"a WebSocket is one by itself, cookies or not", "GET /", "Cookie: sid=a\r\nUpgrade: websocket\r\n", nil},
		{"but not if it has an id", "GET /?sid=a", "Upgrade: websocket\r\nCookie: sid=a\r\n", []string{"query:sid"}},
		{"empty values", "GET /?sid=&session", "Cookie: sid=\r\nSession-Id:  \r\n", nil},
		{"names that a shell would read", "GET /?$(reboot)sid=a&%73id=a", "Cookie: `reboot`.sid=a; |sid=a\r\nX;-Session-Id: a\r\n", nil},
		{"a long name", "GET /", "Cookie: " + strings.Repeat("a", 61) + ".sid=a\r\n", nil},
		{"one that is not", "GET /", "Cookie: " + strings.Repeat("a", 60) + ".sid=a\r\n", []string{"cookie:" + strings.Repeat("a", 60) + ".sid"}},
		{"more than there is room for", "GET /", "Cookie: a.sid=1; b.sid=1; c.sid=1; d.sid=1; e.sid=1\r\n",
			[]string{"cookie:a.sid", "cookie:b.sid", "cookie:c.sid", "cookie:d.sid"}},
	} {
		if got := guesses(tt.line + " HTTP/1.1\r\n" + host + tt.fields + "\r\n"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, raw := range []string{"", "GET /?sid=a HTTP/1.1\r\n", "\x16\x03\x01"} {
		if got := guesses(raw); got != nil {
			t.Errorf("%q is no whole head, and has %q", raw, got)
		}
	}
}

// A guess is what it says of itself, and nothing else.
func TestGuessIsWhatItsSpecSays(t *testing.T) {
	raw := "GET /a/b/000/x/xhr?sid=1 HTTP/1.1\r\nX-Session-Id: 1\r\nCookie: sid=1\r\n\r\n"
	all := AppendGuesses(make([]Guess, 0, 9), []byte(raw))
	if len(all) != 4 {
		t.Fatal(guesses(raw))
	}
	for i, g := range all {
		for j, other := range all {
			if g.Is(other.Spec()) != (i == j) {
				t.Errorf("%s is %s: %t", g.Spec(), other.Spec(), g.Is(other.Spec()))
			}
		}
		if id, _ := mustParse(t, g.Spec()).FromHead(make([]byte, MaxID), headOf(t, raw)); len(id) != 1 {
			t.Errorf("%s finds %q", g.Spec(), id)
		}
	}
	if !(Guess{inHeader, []byte("mcp-session-ID")}).Is("header:Mcp-Session-Id") {
		t.Error("the case of a field's name matters")
	}
}

func headOf(t *testing.T, raw string) *Head {
	t.Helper()
	head, status := ParseHead([]byte(raw), true)
	if status != Complete {
		t.Fatal("status", status)
	}
	return &head
}

func TestGuessingAllocatesNothing(t *testing.T) {
	raw := []byte("GET /a/000/x/xhr?sid=1 HTTP/1.1\r\nX-Session-Id: 1\r\nCookie: sid=1\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var room [4]Guess
		for _, g := range AppendGuesses(room[:0], raw) {
			if g.Is("cookie:other") || g.Is("header:X-Session") {
				t.Fatal("it is not")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzGuesses: whatever a request carries, what is told of it is a source that can
// be configured, and harmless in a shell.
func FuzzGuesses(f *testing.F) {
	for _, head := range heads {
		f.Add([]byte(head))
	}
	f.Add([]byte("POST /a/000/x/xhr?sid=1 HTTP/1.1\r\nX-Session-Id: 1\r\nCookie: $sid=1; connect.sid=2\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, g := range AppendGuesses(make([]Guess, 0, 4), raw) {
			spec := g.Spec()
			if _, err := Parse([]string{spec}); err != nil || strings.ContainsAny(spec, "$`'\"|&;<>() \\\n") || len(spec) > 80 {
				t.Errorf("%q: %v", spec, err)
			}
		}
	})
}
