package workerproto

import (
	"sync"
	"sync/atomic"
)

// A readiness decides when a worker says READY: once, when the application
// accepts connections and does not hold it back.
type readiness struct {
	over atomic.Bool // READY was said, or never will be

	mu        sync.Mutex // held while READY is written, so that LEAVING comes behind it
	accepting bool       // Accept was called
	held      bool       // HoldReady was called, and Ready was not
	released  bool       // Ready was called
}

// HoldReady has stickyd send no connections before Ready is called as well as
// Accept: for a program that serves at once and has something to do before the
// first request, such as filling a cache. Without it a worker is ready when it
// first calls Accept, as Serve does.
//
// Call it between Listen and Serve: stickyd is not told that a worker is not
// ready any more. A worker that holds back for longer than start_timeout is
// killed and started again. Without stickyd it does nothing.
func (w *Worker) HoldReady() {
	w.ready.mu.Lock()
	defer w.ready.mu.Unlock()
	w.ready.held = !w.ready.released
}

// Ready ends HoldReady, for good. It may come before Serve, and several times.
func (w *Worker) Ready() {
	w.ready.mu.Lock()
	defer w.ready.mu.Unlock()
	w.ready.held, w.ready.released = false, true
	w.sayReadyLocked()
}

// sayAccepting notes that the application accepts connections. It costs nothing
// but the first time.
func (w *Worker) sayAccepting() {
	if w.ready.over.Load() {
		return
	}
	w.ready.mu.Lock()
	defer w.ready.mu.Unlock()
	w.ready.accepting = true
	w.sayReadyLocked()
}

func (w *Worker) sayReadyLocked() {
	r := &w.ready
	if r.over.Load() || r.held || !r.accepting {
		return
	}
	r.over.Store(true)
	w.send(appendHeader(nil, Ready, 0, 0), -1)
}

// neverReady: from now on READY is not said any more.
func (w *Worker) neverReady() {
	w.ready.mu.Lock()
	defer w.ready.mu.Unlock()
	w.ready.over.Store(true)
}
