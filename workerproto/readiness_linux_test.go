package workerproto

import (
	"net/http"
	"sync"
	"testing"
)

// READY is said once, when the worker accepts and nothing holds it back.
func TestReadyIsSaidWhenTheApplicationWants(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before      func(*Worker) // Accept is called
		after       func(*Worker)
		said, later bool // READY, before after is called and behind it
	}{
		{"not held", func(*Worker) {}, (*Worker).Ready, true, false},
		{"held", (*Worker).HoldReady, func(*Worker) {}, false, false},
		{"held, then ready", (*Worker).HoldReady, (*Worker).Ready, false, true},
		{"ready before it accepts", func(w *Worker) { w.HoldReady(); w.Ready() }, (*Worker).Ready, true, false},
		{"ready before it holds", func(w *Worker) { w.Ready(); w.HoldReady() }, func(*Worker) {}, true, false},
		{"held too late", func(*Worker) {}, func(w *Worker) { w.HoldReady(); w.Ready() }, true, false},
		{"closed before it is ready", (*Worker).HoldReady, func(w *Worker) { w.Close(); w.Ready() }, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := startWorker(t)
			tt.before(w)
			p.sync()
			p.silence() // it does not accept
			w.sayAccepting()
			expectReady(p, tt.said)
			tt.after(w)
			expectReady(p, tt.later)
		})
	}
}

// expectReady checks that the worker has said READY, or nothing.
func expectReady(p *supervisor, want bool) {
	p.t.Helper()
	if want {
		p.want(Ready)
	}
	p.sync()
	p.silence()
}

// Whoever comes last says it, and nobody says it twice.
func TestReadyIsSaidOnce(t *testing.T) {
	w, p := startWorker(t)
	w.HoldReady()
	var all sync.WaitGroup
	for range 10 {
		all.Go(w.Ready)
		all.Go(w.sayAccepting)
	}
	all.Wait()
	expectReady(p, true)
}

// A server that serves at once gets its first connection when it is warm.
func TestServeHoldsReady(t *testing.T) {
	w, p := startWorker(t)
	w.HoldReady()
	serve(t, w, &http.Server{Handler: echo})
	p.sync()
	p.silence()
	w.Ready()
	p.want(Ready)
	b := p.browse(1, 0, "")
	b.send(get("/"))
	b.wants("GET /")
}

// One that is to end before it is warm ends.
func TestServeEndsThoughReadyIsHeld(t *testing.T) {
	w, p := startWorker(t)
	w.HoldReady()
	result := serve(t, w, &http.Server{Handler: echo})
	p.say(appendCount(nil, Drain, uint32(deadline.Milliseconds())))
	p.conn.CloseWrite()
	if err := <-result; err != http.ErrServerClosed {
		t.Errorf("Serve returns %v", err)
	}
}

func TestHoldReadyWithoutStickyd(t *testing.T) {
	w, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.HoldReady()
	serve(t, w, &http.Server{Handler: echo})
	resp, err := http.Get("http://" + w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.Ready()
}
