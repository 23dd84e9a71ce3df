package workerproto

import (
	"bytes"
	"net/http"
	"slices"
	"sync"

	"github.com/stickyd/stickyd/routing/session"
)

// A wire follows what net/http reads off a connection and keeps it from the
// beginning of the next request on: the bytes that go back to stickyd if that
// request is another worker's. Bodies are only counted.
//
// Where a request ends must be known exactly. A guess, such as looking for the
// request line in what was read, can be led astray by a body that somebody
// else sent over the same proxy connection: request smuggling.
//
// It is safe for concurrent use: net/http reads ahead while a handler runs.
type wire struct {
	mu   sync.Mutex
	kept []byte        // from the beginning of the next request on
	skip int64         // bytes of a body that are still to come
	body *chunkScanner // of a chunked body that is still to come; nil if none
	lost bool          // the next request begins somewhere unknown
}

// write notes what was read.
func (w *wire) write(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeLocked(b)
}

func (w *wire) writeLocked(b []byte) {
	if w.lost {
		return
	}
	if n := min(w.skip, int64(len(b))); n > 0 {
		w.skip -= n
		b = b[n:]
	}
	if w.body != nil {
		var err error
		if b, err = w.body.scan(b); err != nil {
			w.lose() // net/http does not like it either, and ends the connection
			return
		}
		if !w.body.done() {
			return
		}
		w.body = nil
	}
	if len(w.kept)+len(b) > MaxReplay {
		w.lose()
		return
	}
	w.kept = append(w.kept, b...)
}

// end forgets what is kept and keeps nothing from now on.
func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose()
}

// begin keeps what is read from now on; nothing was read yet.
func (w *wire) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = false
}

func (w *wire) lose() { w.lost, w.kept = true, nil }

// at reports whether the wire knows where r, whose head net/http has read,
// begins.
func (w *wire) at(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.headLocked(r)
	return ok
}

func (w *wire) headLocked(r *http.Request) (session.Head, bool) {
	if w.lost {
		return session.Head{}, false
	}
	head, status := session.ParseHead(w.kept, true)
	ok := status == session.Complete && string(head.Method) == r.Method && string(head.Target) == r.RequestURI
	return head, ok
}

// unanswered returns what was read from the beginning of the next request on.
func (w *wire) unanswered() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(bytes.TrimLeft(w.kept, "\r\n"))
}

// pass goes on to the request behind r. It reports whether it knows where that
// begins.
func (w *wire) pass(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	head, ok := w.headLocked(r)
	if !ok {
		w.lose()
		return false
	}
	rest := w.kept[head.Len:]
	w.kept = nil
	switch {
	case slices.Contains(r.TransferEncoding, "chunked"):
		w.body = &chunkScanner{}
	case r.ContentLength > 0:
		w.skip = r.ContentLength
	}
	w.writeLocked(rest)
	return !w.lost
}
