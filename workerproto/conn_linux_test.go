package workerproto

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
)

// The server may read on until it is stopped. If that makes more than can be
// passed on, the connection ends; it must not go back without what was read,
// for its owner would take what follows for a request.
func TestConnIsNotReturnedWithoutWhatWasRead(t *testing.T) {
	head := "GET /?sid=theirs HTTP/1.1\r\nHost: h\r\nX: "
	head += strings.Repeat("x", MaxReplay-len(head)-4) + "\r\n\r\n"
	for _, tt := range []struct {
		name, more string
		returned   bool
	}{
		{"just as much as goes", "", true},
		{"a byte more", "G", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := startWorker(t)
			client := p.hand(1, 0, head)
			c := accept(t, w)
			c.heard.begin()
			p.want(Ready)
			r, err := http.ReadRequest(bufio.NewReaderSize(c, len(head)))
			if err != nil {
				t.Fatal(err)
			}
			if !c.heard.at(r) {
				t.Fatal("the head is too long for the test")
			}
			c.sendBack(&lateReader{httptest.NewRecorder(), c, tt.more}, r)
			w.Bind(context.Background(), "the end")
			if tt.returned {
				f := p.want(Return)
				_, replay, err := parseConn(Return, f.body)
				if string(replay) != head || err != nil {
					t.Errorf("%d bytes come back (%v), want %d", len(replay), err, len(head))
				}
				fdpass.Close(f.fd)
			}
			p.want(Bind)
			if rest, err := io.ReadAll(client); len(rest) > 0 || err != nil {
				t.Errorf("the client reads %q (%v), want the end", rest, err)
			}
		})
	}
}

// A lateReader reads more just before it is hijacked, as a server may.
type lateReader struct {
	*httptest.ResponseRecorder
	c    *workerConn
	more string
}

func (l *lateReader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	l.c.heard.write([]byte(l.more))
	return l.c, nil, nil
}
