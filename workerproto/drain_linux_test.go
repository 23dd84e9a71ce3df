package workerproto

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/fdpass"
)

// drain says DRAIN, and returns when the worker has heard it.
func (p *supervisor) drain(limit time.Duration) {
	p.t.Helper()
	p.say(appendCount(nil, Drain, uint32(limit.Milliseconds())))
	p.sync()
}

// While a worker drains, its sessions are served as ever, and what may start
// one goes elsewhere; if there is nowhere else, it comes back and is served.
func TestServeWhileDraining(t *testing.T) {
	w, p := startServer(t, echo)
	w.Bind(t.Context(), "ours")
	p.want(Bind)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	b.send(get("/again"))
	b.wants("GET /again")
	p.drain(time.Hour)
	for range 3 {
		b.send(get("/?sid=ours"))
		if resp := b.wants("GET /?sid=ours"); resp.Close {
			t.Error("the connection is closed")
		}
	}
	for id := uint64(2); id < 5; id++ {
		b.send(post("/new", "body"))
		back := p.want(Return)
		_, replay, err := parseConn(Return, back.body)
		if err != nil || string(replay[:13]) != "POST /new HTT" {
			t.Fatalf("%q came back (%v)", replay, err)
		}
		p.handFD(id, 0, string(replay), back.fd)
		fdpass.Close(back.fd)
		b.wants("POST /new")
	}
	// Its first request is here because stickyd wants it here.
	fresh := p.browse(5, 0, "")
	fresh.send(get("/fresh"))
	fresh.wants("GET /fresh")
}

// A request that can't be given back is served while the worker drains.
func TestServeKeepsWhatCannotGoBackWhileDraining(t *testing.T) {
	_, p := startServer(t, echo)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	p.drain(time.Hour)
	b.send("GET /large HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", MaxReplay) + "\r\n\r\n")
	b.wants("GET /large")
}

// Each DRAIN's deadline replaces the one before, and none of them is the end.
func TestDeadline(t *testing.T) {
	w, p := startWorker(t)
	if at, ok := w.Deadline(); ok {
		t.Errorf("to drain until %v, without a DRAIN", at)
	}
	for _, limit := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute} {
		before := time.Now()
		p.drain(limit)
		at, ok := w.Deadline()
		if !ok || at.Before(before.Add(limit)) || at.After(time.Now().Add(limit)) {
			t.Errorf("to drain until %v (%t), asked for %v at %v", at, ok, limit, before)
		}
		select {
		case <-w.Draining():
		default:
			t.Error("not draining")
		}
		select {
		case <-w.Finishing():
			t.Error("finishing")
		default:
		}
	}
	p.conn.CloseWrite()
	<-w.Finishing()
	if w.orphaned() {
		t.Error("stickyd has asked for the end, and is taken for dead")
	}
}

// A stickyd that was killed while the worker drained leaves it no more time
// than one that was killed before.
func TestFinishSoonWhenStickydDiesWhileDraining(t *testing.T) {
	w, p := startServer(t, echo)
	fresh, b := p.browse(1, 0, ""), p.browse(2, 0, "")
	b.send(get("/"))
	b.wants("GET /")
	p.drain(time.Hour)
	p.conn.Shutdown()
	<-w.Finishing()
	if left := time.Until(w.finishBy()); left > orphanGrace {
		t.Errorf("it takes %v to finish", left)
	}
	b.send(get("/?sid=theirs"))
	if resp, body := b.get("GET"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	fresh.Close()
}

// Once no connection comes any more, what is open is served.
func TestServeServesWhileFinishing(t *testing.T) {
	w, p := startServer(t, echo)
	fresh, b := p.browse(1, 0, ""), p.browse(2, 0, "") // Serve waits for the fresh one
	b.send(get("/"))
	b.wants("GET /")
	p.drain(time.Hour)
	p.conn.CloseWrite()
	<-w.Finishing()
	b.send(get("/last"))
	b.wants("GET /last")
	fresh.Close()
}
