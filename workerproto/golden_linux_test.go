package workerproto

import (
	"cmp"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
)

// The files in testdata/frames are frames as they stand on the wire, for
// whoever writes a worker library in another language: see the README there.
// They are the protocol: a test that fails here says that workers in the field
// would no longer be understood. Only a new frame is a reason for -update.
var update = flag.Bool("update", false, "write testdata/frames anew")

const goldenDir = "testdata/frames"

// A golden is one file: a message of one or several frames.
type golden struct {
	name, about string
	frames      []outgoing // fd 0 where a descriptor goes with it, else -1
	decoded     []string   // what a receiver makes of each
}

func one(b []byte, fd int) []outgoing { return []outgoing{{bytes: b, fd: fd}} }

// bindOf is a BIND of several ids, which the Go library never sends but other
// libraries may.
func bindOf(adopted uint32, ids ...string) []byte {
	var body []byte
	for _, id := range ids {
		body = appendID(body, id)
	}
	b := appendHeader(nil, Bind, 0, 4+len(body))
	b = append(b, byte(adopted>>24), byte(adopted>>16), byte(adopted>>8), byte(adopted))
	return append(b, body...)
}

func goldens() []golden {
	longest := strings.Repeat("i", MaxID)
	get := []byte("GET /io?sid=lv_VI97HAXpY6yYWAAAC HTTP/1.1\r\nHost: h\r\n\r\n")
	most := []byte(strings.Repeat("r", MaxReplay))
	all := Terms{Slot: 2, Workers: 4, Incarnation: 1<<32 - 1, Window: maxWindow,
		Sessions: []string{"query:sid", "header:Mcp-Session-Id", "path:/echo/*/{}/*"}}
	return []golden{
		{"hello", "what a worker says first", one(hello{min: 1, max: 1, library: "go"}.append(nil), -1),
			[]string{"HELLO 1 to 1 go"}},
		{"hello-page", "a worker that can count on a page", one(hello{min: 1, max: 1, library: "go", page: true}.append(nil), -1),
			[]string{"HELLO 1 to 1 go, page"}},
		{"hello-newer", "a worker that speaks later versions too, and has something to say that version 1 does not know",
			one(raw(Hello, 0, 0, "min=1\nmax=3\nlibrary=x 2.0 (y=z)\ncolour=blue\n"), -1),
			[]string{"HELLO 1 to 3 x 2.0 (y=z)"}},
		{"welcome", "the answer of stickyd, with several places where session ids stand, in order",
			one(all.append(nil, 1), -1),
			[]string{"WELCOME 1 slot 2 of 4, incarnation 4294967295, window 250 [query:sid header:Mcp-Session-Id path:/echo/*/{}/*]"}},
		{"welcome-short", "the least that stickyd answers",
			one(Terms{Slot: 1, Workers: 1, Incarnation: 1, Window: 1}.append(nil, 1), -1),
			[]string{"WELCOME 1 slot 1 of 1, incarnation 1, window 1 []"}},
		{"welcome-page", "the answer to a worker that can count on a page, whose descriptor comes with it",
			one(withDescriptor(Terms{Slot: 1, Workers: 1, Incarnation: 1, Window: 1}.append(nil, 1)), 0),
			[]string{"WELCOME 1 slot 1 of 1, incarnation 1, window 1 [] descriptor"}},
		{"ready", "the worker accepts from now on", one(appendHeader(nil, Ready, 0, 0), -1), []string{"READY"}},

		{"conn", "a connection, nothing of which was read", one(appendConn(nil, Conn, 0, 1, nil), 0),
			[]string{`CONN 1 descriptor session=false ""`}},
		{"conn-session", "a connection for a session that this worker holds: it is no load by itself",
			one(appendConn(nil, Conn, FlagSession, 2, nil), 0), []string{`CONN 2 descriptor session=true ""`}},
		{"conn-replay", "a connection with bytes that were read off it: the application reads them first",
			one(appendConn(nil, Conn, FlagSession, 0x0102030405060708, get), 0),
			[]string{fmt.Sprintf("CONN 72623859790382856 descriptor session=true %q", get)}},
		{"conn-replay-longest", "a connection with as much to replay as there may be: longer than what one sendmsg takes whole",
			one(appendConn(nil, Conn, 0, 1<<64-1, most), 0),
			[]string{fmt.Sprintf("CONN 18446744073709551615 descriptor session=false %q", most)}},
		{"conn-two", "two connections in one sendmsg: the frame that begins it says how many descriptors came with it, the next one says 0",
			[]outgoing{{bytes: appendConn(nil, Conn, 0, 7, nil), fd: 0}, {bytes: appendConn(nil, Conn, FlagSession, 8, nil), fd: 0}},
			[]string{`CONN 7 descriptor session=false ""`, `CONN 8 descriptor session=true ""`}},
		{"conn-behind-drain", "two frames in one sendmsg, of which the second owns the descriptor: the first one says how many came",
			[]outgoing{{bytes: appendCount(nil, Drain, 10_000), fd: -1}, {bytes: appendConn(nil, Conn, FlagSession, 9, nil), fd: 0}},
			[]string{"DRAIN 10000", `CONN 9 descriptor session=true ""`}},
		{"drain", "no new sessions, and 10 s for what is open", one(appendCount(nil, Drain, 10_000), -1), []string{"DRAIN 10000"}},
		{"drain-longest", "no new sessions, and 49 days", one(appendCount(nil, Drain, 1<<32-1), -1), []string{"DRAIN 4294967295"}},
		{"refused", "the session is another worker's", one(appendIDFrame(nil, Refused, "s1"), -1), []string{"REFUSED s1"}},
		{"refused-longest", "as long as an id may be", one(appendIDFrame(nil, Refused, longest), -1), []string{"REFUSED " + longest}},

		{"bind", "a session that came over a connection which counts as part of it now", one(appendBind(nil, 1, "s1"), -1),
			[]string{"BIND adopted 1: s1"}},
		{"bind-shortest", "a session that did not come over a connection of its own", one(appendBind(nil, 0, "a"), -1),
			[]string{"BIND adopted 0: a"}},
		{"bind-longest", "as long as an id may be", one(appendBind(nil, 0, longest), -1), []string{"BIND adopted 0: " + longest}},
		{"bind-several", "three sessions that came over two connections; ids are bytes, not text",
			one(bindOf(2, "s1", "s2", "\x00\xff"), -1), []string{"BIND adopted 2: s1 s2 \x00\xff"}},
		{"unbind", "the session has ended", one(appendIDFrame(nil, Unbind, "s1"), -1), []string{"UNBIND s1"}},
		{"unbind-several", "several have", one(raw(Unbind, 0, 0, "\x00\x02s1\x00\x02s2"), -1), []string{"UNBIND s1 s2"}},
		{"taken", "the application has accepted connection 3 and all before it", one(appendNumber(nil, Taken, 3), -1), []string{"TAKEN 3"}},
		{"taken-highest", "numbers have 64 bits", one(appendNumber(nil, Taken, 1<<64-1), -1), []string{"TAKEN 18446744073709551615"}},
		{"decline", "connection 4 came without its descriptor, or nobody will accept it", one(appendNumber(nil, Decline, 4), -1), []string{"DECLINE 4"}},
		{"closed", "two connections that were load have ended", one(appendCount(nil, Closed, 2), -1), []string{"CLOSED 2"}},
		{"closed-most", "a count has 32 bits", one(appendCount(nil, Closed, 1<<32-1), -1), []string{"CLOSED 4294967295"}},
		{"return", "a connection back, which was load until now, and what was read off it and not answered",
			one(appendConn(nil, Return, 0, 5, get), 0), []string{fmt.Sprintf("RETURN 5 descriptor session=false %q", get)}},
		{"return-session", "a connection back that was not load: it came for a session, or a session had adopted it",
			one(appendConn(nil, Return, FlagSession, 6, []byte("GET ")), 0), []string{`RETURN 6 descriptor session=true "GET "`}},

		{"subscribe", "what others publish under these topics is wanted", one(raw(Subscribe, 0, 0, "\x00\x04chat\x00\x04news"), -1),
			[]string{"SUBSCRIBE chat news"}},
		{"publish", "a message for those who have subscribed", one(appendPublish(nil, 0, "chat", []byte("hello")), -1),
			[]string{`PUBLISH more=false aborted=false chat "hello"`}},
		{"publish-more", "the first piece of one", one(appendPublish(nil, FlagMore, "chat", []byte("hel")), -1),
			[]string{`PUBLISH more=true aborted=false chat "hel"`}},
		{"deliver", "what incarnation 7 has published", one(appendDelivery(nil, 0, 7, []byte("chat"), []byte("hello")), -1),
			[]string{`DELIVER 7 more=false aborted=false chat "hello"`}},
		{"deliver-aborted", "incarnation 7 ended in the middle of a message", one(appendDelivery(nil, FlagAborted, 7, []byte("chat"), nil), -1),
			[]string{`DELIVER 7 more=false aborted=true chat ""`}},
		{"leaving", "no new sessions, please", one(appendHeader(nil, Leaving, 0, 0), -1), []string{"LEAVING"}},

		{"unknown", "a type of a later version: skipped", one(raw(0x7f, 0xf0, 0, "whatever"), -1), []string{"frame type 0x7f"}},
		{"taken-newer", "a later version may add fields at the end: ignored", one(raw(Taken, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x03more"), -1), []string{"TAKEN 3"}},
	}
}

func TestGoldenFramesAreWhatWeSend(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			path := filepath.Join(goldenDir, g.name+".hex")
			text := annotate(g.about, sent(t, g.frames))
			if *update {
				if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (go test -run Golden -update writes it)", err)
			}
			if text != string(want) {
				t.Errorf("we send\n%s\nand %s is\n%s", text, path, want)
			}
		})
	}
}

func TestGoldenFramesAreUnderstood(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			a, b := pairOf(t)
			message := readGolden(t, filepath.Join(goldenDir, g.name+".hex"))
			announced := int(message[2])<<8 | int(message[3])
			n, err := a.TrySend(message, make([]int, announced))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.TrySend(append(message[n:], raw(Ready, 0, 0, "")...), nil); err != nil {
				t.Fatal(err)
			}
			s := stream{conn: b}
			frames, err := receiveSent(&s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range frames {
				got = append(got, describe(t, f))
			}
			if want := append(g.decoded, "READY"); !slices.Equal(got, want) {
				t.Errorf("understood %q\nwant %q", got, want)
			}
		})
	}
}

// Whoever reads the directory must find there what the protocol is, and no
// more.
func TestGoldenFilesAreAllKnown(t *testing.T) {
	var want []string
	kinds := make(map[Type]bool)
	for _, g := range goldens() {
		want = append(want, filepath.Join(goldenDir, g.name+".hex"))
		for _, f := range g.frames {
			kinds[Type(f.bytes[0])] = true
		}
	}
	slices.Sort(want)
	got, err := filepath.Glob(goldenDir + "/*.hex")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q (%v)", got, want, err)
	}
	readme, err := os.ReadFile(goldenDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind, name := range typeNames {
		if !kinds[kind] {
			t.Errorf("no file has a %s", name)
		}
		if !strings.Contains(string(readme), name) {
			t.Errorf("the README does not name %s", name)
		}
	}
	for _, path := range want {
		if !strings.Contains(string(readme), "`"+filepath.Base(path)+"`") {
			t.Errorf("the README does not list %s", filepath.Base(path))
		}
	}
}

// sent returns the bytes that an outbox puts on the wire for frames.
func sent(t *testing.T, frames []outgoing) []byte {
	t.Helper()
	a, b := pairOf(t)
	o := outbox{conn: a}
	for _, f := range frames {
		o.push(slices.Clone(f.bytes), f.fd)
	}
	if err := o.flush(); err != nil {
		t.Fatal(err)
	}
	a.CloseWrite()
	var wire []byte
	buf := make([]byte, 1<<17)
	for {
		n, fds, err := b.TryReceive(buf, nil)
		fdpass.CloseAll(fds)
		wire = append(wire, buf[:n]...)
		if err != nil {
			return wire
		}
	}
}

// describe says what a receiver understands, and closes the descriptor.
func describe(t *testing.T, f frame) string {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	ids := func(body []byte) (s string) {
		for id, err := range parseIDs(f.kind, body) {
			check(err)
			s += " " + string(id)
		}
		return s
	}
	switch f.kind {
	case Hello:
		h, err := parseHello(f.body)
		check(err)
		page := ""
		if h.page {
			page = ", page"
		}
		return fmt.Sprintf("HELLO %d to %d %s%s", h.min, h.max, h.library, page)
	case Welcome:
		version, terms, err := parseWelcome(f.body)
		check(err)
		page := ""
		if f.fd >= 0 {
			page = " descriptor"
			fdpass.Close(f.fd)
		}
		return fmt.Sprintf("WELCOME %d slot %d of %d, incarnation %d, window %d %v%s", version,
			terms.Slot, terms.Workers, terms.Incarnation, terms.Window, terms.Sessions, page)
	case Conn, Return:
		id, replay, err := parseConn(f.kind, f.body)
		check(err)
		descriptor := "without"
		if f.fd >= 0 {
			descriptor = "descriptor"
			fdpass.Close(f.fd)
		}
		return fmt.Sprintf("%s %d %s session=%t %q", f.kind, id, descriptor, f.flags&FlagSession != 0, replay)
	case Taken, Decline:
		n, err := parseNumber(f.kind, f.body)
		check(err)
		return fmt.Sprintf("%s %d", f.kind, n)
	case Drain, Closed:
		n, err := parseCount(f.kind, f.body)
		check(err)
		return fmt.Sprintf("%s %d", f.kind, n)
	case Bind:
		n, err := parseCount(f.kind, f.body)
		check(err)
		return fmt.Sprintf("BIND adopted %d:%s", n, ids(f.body[4:]))
	case Unbind, Refused, Subscribe:
		return f.kind.String() + ids(f.body)
	case Publish, Deliver:
		from, body := "", f.body
		if f.kind == Deliver {
			n, err := parseCount(Deliver, body)
			check(err)
			from, body = fmt.Sprint(n, " "), body[4:]
		}
		topic, piece, err := parsePublish(f.kind, body)
		check(err)
		return fmt.Sprintf("%s %smore=%t aborted=%t %s %q", f.kind, from, f.flags&FlagMore != 0, f.flags&FlagAborted != 0, topic, piece)
	}
	return f.kind.String()
}

// hexColumn is where the comments begin.
const hexColumn = 50

// A writer of golden files. It knows the layout by itself, independently of
// the package's own encoding and decoding.
type annotator struct {
	out  strings.Builder
	rest []byte
}

// field writes the next n bytes, at most 16 a line, with the comment behind
// the first line.
func (a *annotator) field(n int, format string, args ...any) {
	b := a.rest[:n]
	a.rest = a.rest[n:]
	comment := fmt.Sprintf(format, args...)
	for len(b) > 0 {
		k := min(16, len(b))
		if run := len(b) - len(strings.TrimLeft(string(b), string(b[:1]))); run > 64 {
			k = run
			fmt.Fprintf(&a.out, "%-*s# %s\n", hexColumn, fmt.Sprintf("%02x*%d", b[0], run), comment)
		} else {
			fmt.Fprintf(&a.out, "%-*s# %s\n", hexColumn, fmt.Sprintf("% x", b[:k]), comment)
		}
		b, comment = b[k:], "…"
	}
}

func (a *annotator) number(n int) (v uint64) {
	for _, c := range a.rest[:n] {
		v = v<<8 | uint64(c)
	}
	return v
}

func annotate(about string, message []byte) string {
	a := annotator{rest: message}
	fmt.Fprintf(&a.out, "# %s.\n", strings.ToUpper(about[:1])+about[1:])
	for len(a.rest) > 0 {
		a.frame()
	}
	return a.out.String()
}

func (a *annotator) frame() {
	a.out.WriteByte('\n')
	kind, flags := Type(a.rest[0]), a.rest[1]
	from := "stickyd → worker"
	if kind >= 0x80 {
		from = "worker → stickyd"
	}
	a.field(1, "type: %s, %s", kind, from)
	var names []string
	if flags&FlagDescriptor != 0 {
		names = append(names, "owns a descriptor")
	}
	if flags&FlagSession != 0 {
		names = append(names, "belongs to a session")
	}
	a.field(1, "flags: %s", cmp.Or(strings.Join(names, ", "), "none that version 1 knows"))
	a.field(2, "descriptors in the message that begins here: %d", a.number(2))
	length := int(a.number(4))
	a.field(4, "length of the body: %d", length)
	tail := a.rest[length:]
	a.rest = a.rest[:length]
	a.body(kind)
	if len(a.rest) > 0 {
		a.field(len(a.rest), "what version 1 does not know")
	}
	a.rest = tail
}

func (a *annotator) body(kind Type) {
	switch kind {
	case Hello, Welcome:
		for len(a.rest) > 0 {
			n := 1 + strings.IndexByte(string(a.rest), '\n')
			a.field(n, "%q", a.rest[:n])
		}
	case Conn, Return:
		a.field(8, "connection %d", a.number(8))
		if n := len(a.rest); n > 0 {
			a.field(n, "%d bytes that were read off it", n)
		}
	case Taken, Decline:
		a.field(8, "connection %d", a.number(8))
	case Closed:
		a.field(4, "connections: %d", a.number(4))
	case Drain:
		a.field(4, "milliseconds: %d", a.number(4))
	case Bind:
		a.field(4, "connections that are part of these sessions now: %d", a.number(4))
		a.ids()
	case Unbind, Refused, Subscribe:
		a.ids()
	case Publish, Deliver:
		if kind == Deliver {
			a.field(4, "incarnation of the publisher: %d", a.number(4))
		}
		n := int(a.number(2))
		a.field(2, "length of the topic: %d", n)
		a.field(n, "%q", a.rest[:n])
		if n := len(a.rest); n > 0 {
			a.field(n, "the message, or a piece of it")
		}
	}
}

func (a *annotator) ids() {
	for len(a.rest) > 0 {
		n := int(a.number(2))
		a.field(2, "length of the id: %d", n)
		if n > 32 {
			a.field(n, "the id")
		} else {
			a.field(n, "%q", a.rest[:n])
		}
	}
}

// readGolden reads a file as any other program would: bytes in hexadecimal,
// hh*N for N times the same, # to the end of the line is a comment.
func readGolden(t *testing.T, path string) (message []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			digits, times, repeated := strings.Cut(word, "*")
			b, err := hex.DecodeString(digits)
			n := 1
			if repeated && err == nil {
				n, err = strconv.Atoi(times)
			}
			if err != nil || len(b) != 1 {
				t.Fatalf("%s: %q is not a byte: %v", path, word, err)
			}
			message = append(message, strings.Repeat(string(b), n)...)
		}
	}
	return message
}
