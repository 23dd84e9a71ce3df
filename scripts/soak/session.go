//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// A conversation carries the packets of one Engine.IO session, version 4.
type conversation interface {
	kind() string
	open() error                // the handshake
	send(packet string) error   // one
	receive() ([]string, error) // at least one
	close()
}

// errClosed is a server's orderly end of a session.
var errClosed = errors.New("the server closed the session")

// sessions has one session after the other.
func (l *load) sessions(random *rand.Rand, begin func() conversation) {
	for l.pause(random, 100*time.Millisecond) {
		s := &session{load: l, conversation: begin()}
		began := time.Now()
		if err := s.start(); err != nil {
			l.failed("the beginning of a session by "+s.kind(), began, err)
			continue
		}
		l.judge.figures.add("sessions: begun")
		length := time.Duration(random.ExpFloat64() * float64(4*time.Second))
		if random.IntN(10) == 0 {
			length *= 8 // outlives a drain
		}
		err := s.count(random, time.Now().Add(length))
		l.end(s, err)
		s.close()
	}
}

// end judges how a session ended.
func (l *load) end(s *session, err error) {
	if err == nil {
		l.judge.figures.add("sessions: ended by the client")
		return
	}
	now := time.Now()
	kind := kindOf(err)
	if kind != "refused" && kind != "answered by stickyd" && kind != "no answer in time" {
		if cause, ok := l.judge.session(s.pid, now); ok {
			l.judge.figures.add("sessions: ended " + cause)
			return
		}
	}
	if unknownSession(err) {
		kind = "misrouted"
	}
	l.judge.figures.add("errors: " + kind)
	l.judge.finds("a session of process %d by %s, after %d counts: %s: %v", s.pid, s.kind(), s.counted, kind, err)
}

// A session counts, and so does its server: in the memory of one process.
type session struct {
	conversation
	load    *load
	pid     int // of its worker
	counted int
	acks    int
	pending []string // received, and not looked at
}

// settling is for the library that the worker is made with. It tells a client that
// a session has begun, and that the namespace is joined, before it has noted so
// itself: to a client on the same machine, that goes on at once, it closes the
// session once in a thousand times. It does so without a stickyd as well.
const settling = 30 * time.Millisecond

// start begins the session and asks who has it. An error of anything but the
// handshake, whose worker is not known either, is the same to the judge.
func (s *session) start() error {
	if err := s.open(); err != nil {
		return err
	}
	time.Sleep(settling)
	if err := s.send("40"); err != nil { // Socket.IO: connect to the namespace /
		return err
	}
	if _, err := s.await("40"); err != nil {
		return err
	}
	time.Sleep(settling)
	var who [1]struct{ PID int }
	if err := s.ask("whoami", &who); err != nil {
		return err
	}
	s.pid = who[0].PID
	return nil
}

// count counts until then, or until the load ends, and ends the session.
func (s *session) count(random *rand.Rand, until time.Time) error {
	for time.Now().Before(until) && s.load.pause(random, 100*time.Millisecond) {
		var n [1]int
		if err := s.ask("count", &n); err != nil {
			return err
		}
		if n[0] <= s.counted { // a POST that was sent again may count twice
			return fmt.Errorf("it has counted to %d, and its server to %d", s.counted, n[0])
		}
		s.counted = n[0]
	}
	return nil
}

// ask sends an event and decodes the arguments of its acknowledgement.
func (s *session) ask(event string, answer any) error {
	s.acks++
	if err := s.send(fmt.Sprintf("42%d[%q]", s.acks, event)); err != nil {
		return err
	}
	text, err := s.await(fmt.Sprintf("43%d[", s.acks))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text[strings.IndexByte(text, '['):]), answer)
}

// await returns the next packet that begins so, and answers pings meanwhile.
func (s *session) await(prefix string) (string, error) {
	for late := time.Now().Add(answerLimit); time.Now().Before(late); {
		for len(s.pending) > 0 {
			packet := s.pending[0]
			s.pending = s.pending[1:]
			switch {
			case strings.HasPrefix(packet, prefix):
				return packet, nil
			case packet == "2": // ping
				if err := s.send("3"); err != nil {
					return "", err
				}
			case packet == "1", strings.HasPrefix(packet, "41"), strings.HasPrefix(packet, "44"):
				return "", errClosed
			}
		}
		var err error
		if s.pending, err = s.receive(); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no %s after %v", prefix, answerLimit)
}
