package workerproto

import "sync"

// A tape remembers the last bytes that were written to it. It is safe for
// concurrent use: net/http reads ahead while a handler runs.
type tape struct {
	mu    sync.Mutex
	limit int
	buf   []byte // may hold up to twice the limit, so that it is seldom moved
}

// keep sets how many bytes are remembered.
func (t *tape) keep(limit int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = limit
	if len(t.buf) > limit {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-limit:]...)
	}
}

func (t *tape) write(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) > t.limit {
		b = b[len(b)-t.limit:]
	}
	if keep := t.limit - len(b); len(t.buf)+len(b) > 2*t.limit {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-keep:]...)
	}
	t.buf = append(t.buf, b...)
}

// last returns a copy of what is remembered.
func (t *tape) last() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.buf[max(0, len(t.buf)-t.limit):]...)
}
