package workerproto

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing/session"
)

// This file is what stickyd sends to a Worker; worker.go is what the Worker does
// and says.

// receive handles what stickyd sends until it sends no more. welcome gets the
// outcome of the handshake.
func (w *Worker) receive(welcome chan<- error) {
	s := stream{conn: w.conn}
	var err error
	w.conn.OnReadable(func() poll.Next {
		if _, err = s.receive(); err == nil {
			err = w.handleAll(&s, welcome)
		}
		return goOn(err)
	})
	s.close()
	if errors.Is(err, ErrProtocol) {
		slog.Error("stickyd broke the worker protocol", "err", err)
	}
	select {
	case welcome <- fmt.Errorf("it went away: %w", err):
	default:
	}
	w.end()
}

func (w *Worker) handleAll(s *stream, welcome chan<- error) error {
	for {
		f, ok, err := s.next()
		if !ok || err != nil {
			return err
		}
		if err := w.handle(f, welcome); err != nil {
			return err
		}
	}
}

func (w *Worker) handle(f frame, welcome chan<- error) error {
	if f.fd >= 0 && f.kind != Conn && f.kind != Welcome {
		fdpass.Close(f.fd)
	}
	switch f.kind {
	case Welcome:
		err := w.handleWelcome(f)
		select {
		case welcome <- err:
		default:
		}
		return err
	case Conn:
		return w.handleConn(f)
	case Drain:
		return w.handleDrain(f)
	case Refused:
		return w.handleRefused(f)
	case Deliver:
		return w.handleDeliver(f)
	}
	return nil // a later version's: skipped
}

func (w *Worker) handleWelcome(f frame) (err error) {
	if f.fd >= 0 {
		defer fdpass.Close(f.fd)
	}
	if w.welcomed {
		return protocolErrorf("a second WELCOME") // others read the terms by now
	}
	w.welcomed = true
	if _, w.terms, err = parseWelcome(f.body); err != nil {
		return err
	}
	if page, err := fdpass.MapPage(f.fd); err == nil { // else all is said in frames
		w.tally = newTally(page) // for as long as the process lives
	}
	w.sources, err = session.Parse(w.terms.Sessions)
	return err
}

func (w *Worker) handleConn(f frame) error {
	id, replay, err := parseConn(Conn, f.body)
	if err != nil {
		fdpass.Close(f.fd)
		return err
	}
	if f.fd < 0 {
		// It was lost on the way for want of descriptors; stickyd has a copy.
		return w.decline(id)
	}
	a := arrival{id: id, fd: f.fd, session: f.flags&FlagSession != 0, replay: append([]byte(nil), replay...)}
	select {
	case w.queue <- a:
	default:
		fdpass.Close(f.fd)
		return w.decline(id)
	}
	select {
	case <-w.closed: // perhaps after Close had emptied the queue
		w.declineQueue()
	default:
	}
	return nil
}

func (w *Worker) handleDeliver(f frame) error {
	from, err := parseCount(Deliver, f.body)
	if err != nil {
		return err
	}
	topic, piece, err := parsePublish(Deliver, f.body[4:])
	if err != nil {
		return err
	}
	w.inbox.take(f.flags, from, topic, piece)
	return nil
}

func (w *Worker) handleRefused(f frame) error {
	for id, err := range parseIDs(Refused, f.body) {
		if err != nil {
			return err
		}
		w.ids.remove(string(id))
		slog.Warn("session id is another worker's", "id", redact(string(id)))
	}
	return nil
}

// redact shortens a session id for a log: it is a credential.
func redact(id string) string { return id[:min(4, len(id)/4)] + "…" }
