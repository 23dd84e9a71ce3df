package workerproto

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const (
	plainGet  = "GET /a?sid=1 HTTP/1.1\r\nHost: h\r\n\r\n"
	trickyGet = "GET /b HTTP/1.1\r\nHost: h\r\nX: GET /b HTTP/1.1\r\n\r\n"
	withBody  = "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 31\r\n\r\nGET /b HTTP/1.1\r\nX: GET /b HTTP"
	chunked   = "POST /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1A \r\nGET /a?sid=1 HTTP/1.1\r\n\r\nx\r\n0\r\n\r\n"
	trailers  = "POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n"
	badChunk  = "POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"
)

// follow reads the requests in raw as net/http does, feeds a wire in pieces of
// the given size, and returns an error if the wire is ever wrong about where a
// request begins. It may not know; then known is false.
func follow(raw []byte, piece int) (known bool, err error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	var w wire
	fed, offset := 0, 0
	feed := func(to int) {
		for ; fed < to; fed = min(to, fed+piece) {
			w.write(raw[fed:min(to, fed+piece)])
		}
	}
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return !w.lost, nil
		}
		// The server has read the head, and perhaps more.
		feed(len(raw))
		if !w.at(req) {
			return false, nil
		}
		if got := w.unanswered(); !bytes.Equal(got, raw[offset:]) {
			return true, fmt.Errorf("request %q begins at %d: the wire would give back %q", req.RequestURI, offset, got)
		}
		w.pass(req)
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return !w.lost, nil
		}
		left, _ := io.ReadAll(r)
		offset = len(raw) - len(left)
		r = bufio.NewReader(bytes.NewReader(left))
	}
}

func TestWireKnowsWhereRequestsBegin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		raw   string
		known bool
	}{
		{"pipelined", plainGet + trickyGet + plainGet, true},
		{"request lines in bodies and fields", withBody + trickyGet + withBody + trickyGet, true},
		{"chunks", chunked + plainGet + chunked + trickyGet, true},
		{"trailers", trailers + plainGet, true},
		{"chunks that net/http refuses", badChunk + plainGet, false},
		{"a head that is too long to give back", plainGet + "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", MaxReplay) + "\r\n\r\n", false},
	} {
		for _, piece := range []int{1, 2, 7, 4096} {
			known, err := follow([]byte(tt.raw), piece)
			if err != nil || known != tt.known {
				t.Errorf("%s, in pieces of %d: known %v, error %v", tt.name, piece, known, err)
			}
		}
	}
}

func TestWireKeepsNoBody(t *testing.T) {
	var w wire
	head := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n"
	w.write([]byte(head))
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	w.pass(r)
	body := make([]byte, 1<<20)
	for range 100 {
		w.write(body)
	}
	if cap(w.kept) > 0 || w.buffer != nil {
		t.Errorf("%d bytes of a body are kept", cap(w.kept))
	}
}

// What one connection's wire has given back to the pool is another's from then on.
func TestWiresShareNoBuffer(t *testing.T) {
	one, err := http.ReadRequest(bufio.NewReader(strings.NewReader(plainGet)))
	if err != nil {
		t.Fatal(err)
	}
	var wires [8]wire
	for i := range wires {
		w := &wires[i]
		w.write([]byte(plainGet)) // fills a buffer, and is done with it
		w.pass(one)
		w.write(fmt.Appendf(nil, "%sGET /%d", plainGet, i))
		w.pass(one)
	}
	for i := range wires {
		if got, want := string(wires[i].unanswered()), fmt.Sprintf("GET /%d", i); got != want {
			t.Errorf("wire %d has kept %q, want %q", i, got, want)
		}
	}
}

// FuzzWire: where the wire claims to know where a request begins, it does.
func FuzzWire(f *testing.F) {
	for _, raw := range []string{plainGet + trickyGet, withBody + trickyGet, chunked + plainGet, trailers + plainGet, badChunk + plainGet} {
		f.Add([]byte(raw), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint8) {
		if _, err := follow(raw, 1+int(piece)); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkWire follows requests as a browser sends them.
func BenchmarkWire(b *testing.B) {
	for _, bb := range []struct{ name, request string }{
		{"GET", "GET " + browserTarget + " HTTP/1.1\r\n" + browserFields},
		{"POST", "POST " + browserTarget + " HTTP/1.1\r\nContent-Length: 512\r\n" + browserFields + strings.Repeat("x", 512)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			raw := []byte(bb.request)
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				b.Fatal(err)
			}
			var w wire
			b.ReportAllocs()
			for b.Loop() {
				w.write(raw)
				if !w.pass(r) {
					b.Fatal("lost")
				}
			}
		})
	}
}

const browserTarget = "/poll?EIO=4&transport=polling&t=abc&sid=aB3_-xYz0123456789AA"

// What a browser sends along with a request.
const browserFields = "Host: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://app.example.com/\r\nConnection: keep-alive\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nCookie: theme=dark; lang=en; consent=1\r\n" +
	"Cache-Control: no-cache\r\n\r\n"
