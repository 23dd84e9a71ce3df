package main

import (
	"slices"
	"time"
)

// An order tells the generator, which is a process of its own, what to do.
type order struct {
	Mode     mode          `json:"mode"`
	Slots    int           `json:"slots"`  // connections at one time
	Rate     int           `json:"rate"`   // requests per second, 0 for as many as go
	Length   time.Duration `json:"length"` // of the measured part
	Size     int           `json:"size"`   // of a WebSocket message in bytes
	Addr     string        `json:"addr"`   // of the front
	Sessions []session     `json:"sessions"`
	App      app           `json:"app"`
}

// A mode is what the generator does with its connections.
type mode string

const (
	modeNew       mode = "new"       // a request on each
	modeKept      mode = "kept"      // many requests of one session on each
	modeMixed     mode = "mixed"     // requests of sessions of different workers, in turn, on each
	modeWebSocket mode = "websocket" // messages that come back
	modeHandshake mode = "handshake" // a new session, and at once a request of it on another one
	modeHoldPolls mode = "hold polls"
	modeHoldWS    mode = "hold websockets"
	modeHoldQuiet mode = "hold silent" // nothing is sent
)

// holds says that connections are opened and nothing more happens.
func (m mode) holds() bool { return m == modeHoldPolls || m == modeHoldWS || m == modeHoldQuiet }

// prepares says that the connections are opened, and have carried a request,
// before the measurement begins.
func (m mode) prepares() bool { return m == modeKept || m == modeMixed || m == modeWebSocket }

// A session is one that the front's workers have.
type session struct {
	ID     string `json:"id"`
	Worker string `json:"worker"`         // what its worker calls itself
	Addr   string `json:"addr,omitempty"` // where to ask for it, if not the front
}

// An app says how to talk to what the workers run.
type app struct {
	Handshake string `json:"handshake"` // path that starts a session
	Poll      string `json:"poll"`      // to ask for a session that is known, without its id
	Wait      string `json:"wait"`      // the same, to be answered never
	WebSocket string `json:"websocket"`
}

// A tally is what the generator did.
type tally struct {
	Requests   int64         `json:"requests"` // answered, be it by the wrong worker
	Checked    int64         `json:"checked"`  // those of them that ask for a session
	Wrong      int64         `json:"wrong"`    // answered by who does not have it
	Failed     int64         `json:"failed"`   // not answered, or with another status than 200 and 400
	TimedOut   int64         `json:"timed_out"`
	Reconnects int64         `json:"reconnects"` // of connections that should have been kept
	FirstError string        `json:"first_error,omitempty"`
	Elapsed    time.Duration `json:"elapsed"`
	CPU        time.Duration `json:"cpu"` // of the generator
	P50        time.Duration `json:"p50"`
	P90        time.Duration `json:"p90"`
	P99        time.Duration `json:"p99"`
	Open       int           `json:"open"` // connections that are held
}

// takeTurns orders sessions so that the workers take turns, as far as each has
// some left: the first few connections then burden all alike.
func takeTurns(sessions []session) (turns []session) {
	rest := slices.Clone(sessions)
	for len(rest) > 0 {
		var later []session
		had := map[string]bool{}
		for _, s := range rest {
			if had[s.Worker] {
				later = append(later, s)
				continue
			}
			had[s.Worker] = true
			turns = append(turns, s)
		}
		rest = later
	}
	return turns
}
