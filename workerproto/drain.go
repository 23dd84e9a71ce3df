package workerproto

import "time"

// This file is how a worker comes to its end. First stickyd asks it to drain:
// no new sessions come, those that it has go on, and with them everything that
// an application keeps for them. Some time later, when they have ended or their
// time is over, no connection comes any more at all: that is the end.

// Draining is closed when stickyd sends no new sessions from now on. The
// sessions of this worker go on, their requests still come, and an application
// leaves them alone: it may stop what would start new ones, and may advise
// clients to begin anew. A server that runs through Serve gives requests that
// would start a session to other workers. See Deadline and Finishing.
//
// It is closed at the latest when Finishing is. Without stickyd it never is.
func (w *Worker) Draining() <-chan struct{} { return w.draining }

// Deadline returns until when the worker may drain; ok is false if stickyd has
// not asked it to. It may change, to an earlier time as well, as long as
// Finishing is not closed.
func (w *Worker) Deadline() (t time.Time, ok bool) {
	ns := w.deadline.Load()
	return time.Unix(0, ns), ns != 0
}

// Finishing is closed when no connection comes from stickyd any more, because it
// wants the worker to end now, or is gone. What is open may be finished until
// the Deadline, and what would never end by itself is ended now, so that
// clients come back, to another worker: a long poll is answered, a WebSocket
// closed with the status 1001, going away. Serve finishes requests, and calls
// what was registered with RegisterOnShutdown of its server.
//
// Without stickyd it is never closed.
func (w *Worker) Finishing() <-chan struct{} { return w.ended }

func (w *Worker) handleDrain(f frame) error {
	ms, err := parseCount(Drain, f.body)
	if err != nil {
		return err
	}
	w.deadline.Store(time.Now().Add(time.Duration(ms) * time.Millisecond).UnixNano())
	w.drain()
	return nil
}

// drain is called by the receiver only.
func (w *Worker) drain() {
	if !isClosed(w.draining) {
		close(w.draining)
	}
}

// end is called by the receiver, when nothing comes any more. A stickyd that
// has asked for the end still reads; one that was killed may have asked for no
// more than to drain.
func (w *Worker) end() {
	w.orphan = w.deadline.Load() == 0 || w.conn.PeerClosed()
	w.drain()
	close(w.ended)
}

// orphaned reports whether stickyd is gone without having asked for an end.
func (w *Worker) orphaned() bool { return isClosed(w.ended) && w.orphan }

// sessionsOnly reports whether requests that would start a session are to go to
// other workers.
func (w *Worker) sessionsOnly() bool { return isClosed(w.draining) && !isClosed(w.ended) }

// orphanGrace is how long open requests have when stickyd is gone: its guardian
// kills a little later.
const orphanGrace = 3 * time.Second

// finishBy returns until when what is open may be finished, once Finishing is
// closed.
func (w *Worker) finishBy() time.Time {
	until, ok := w.Deadline()
	if grace := time.Now().Add(orphanGrace); w.orphan && (!ok || grace.Before(until)) {
		return grace
	}
	return until
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
