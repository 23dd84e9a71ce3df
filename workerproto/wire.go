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
	mu     sync.Mutex
	kept   []byte        // from the beginning of the next request on
	buffer *wireBuffer   // where kept has its beginning; nil where nothing is kept
	skip   int64         // bytes of a body that are still to come
	body   *chunkScanner // of a chunked body that is still to come; nil if none
	lost   bool          // the next request begins somewhere unknown
}

// A wireBuffer holds the heads that are usual. It goes back to the pool when
// its request has passed, so that idle connections, WebSockets and requests
// that are waited for hold none.
type wireBuffer [2 << 10]byte

var wireBuffers = sync.Pool{New: func() any { return new(wireBuffer) }}

// write notes what was read.
func (w *wire) write(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeLocked(b)
}

func (w *wire) writeLocked(b []byte) {
	if b = w.skipBody(b); len(b) == 0 {
		return
	}
	if len(w.kept)+len(b) > MaxReplay {
		w.lose()
		return
	}
	if w.buffer == nil {
		w.buffer = wireBuffers.Get().(*wireBuffer)
		w.kept = w.buffer[:0]
	}
	w.kept = append(w.kept, b...)
}

// skipBody returns what stands in b behind the body that is still to come:
// nothing also once the wire is lost.
func (w *wire) skipBody(b []byte) []byte {
	if w.lost {
		return nil
	}
	if n := min(w.skip, int64(len(b))); n > 0 {
		w.skip -= n
		b = b[n:]
	}
	if w.body == nil {
		return b
	}
	b, err := w.body.scan(b)
	switch {
	case err != nil:
		w.lose() // net/http does not like it either, and ends the connection
		return nil
	case w.body.done():
		w.body = nil
	}
	return b
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

func (w *wire) lose() {
	w.lost = true
	w.release()
}

func (w *wire) release() {
	if w.buffer != nil {
		wireBuffers.Put(w.buffer)
	}
	w.kept, w.buffer = nil, nil
}

// at reports whether the wire knows where r, whose head net/http has read,
// begins.
func (w *wire) at(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.headLocked(r)
	return ok
}

// headLocked returns how many of the kept bytes are r's head.
func (w *wire) headLocked(r *http.Request) (n int, ok bool) {
	if w.lost {
		return 0, false
	}
	return session.HeadLen(w.kept, r.Method, r.RequestURI)
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
	n, ok := w.headLocked(r)
	if !ok {
		w.lose()
		return false
	}
	switch {
	case slices.Contains(r.TransferEncoding, "chunked"):
		w.body = &chunkScanner{}
	case r.ContentLength > 0:
		w.skip = r.ContentLength
	}
	next := w.skipBody(w.kept[n:])
	if w.kept = w.kept[:copy(w.kept, next)]; len(w.kept) == 0 {
		w.release()
	}
	return !w.lost
}
