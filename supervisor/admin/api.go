package admin

import "time"

// A Status is what a stickyd was doing at one time.
type Status struct {
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Stopping bool      `json:"stopping"`
	Listen   []string  `json:"listen"`
	Sessions int       `json:"sessions"`
	Workers  []Worker  `json:"workers"`
	Counters Counters  `json:"counters"`
}

// A Worker is one of the workers, or the place for one.
type Worker struct {
	Slot     int       `json:"slot"`
	State    string    `json:"state"` // starting, ready, draining, …; waiting: there is no process
	Since    time.Time `json:"since"` // in this state
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Sessions int       `json:"sessions"`
	Untaken  int       `json:"untaken"` // connections that it was given and has not yet accepted
	Open     int       `json:"open"`    // connections, but for those of sessions
	Restarts int       `json:"restarts"`
	Deaths   int       `json:"deaths_in_a_row"`
	LastExit string    `json:"last_exit,omitempty"` // how the process before this one ended
	Next     time.Time `json:"next_start,omitzero"`

	// What the process itself uses, without what it has started.
	ResidentBytes int64   `json:"resident_bytes,omitempty"`
	CPUSeconds    float64 `json:"cpu_seconds,omitempty"`
}

// Counters count connections since stickyd was started.
type Counters struct {
	Accepted  int64 `json:"accepted"`
	Handed    int64 `json:"handed"`   // to a worker, each time
	Returned  int64 `json:"returned"` // by a worker that does not own the session
	Rerouted  int64 `json:"rerouted"` // since a worker died, or could not take them
	Refused   int64 `json:"refused"`  // answered by stickyd itself
	Known     int64 `json:"known_ids"`
	Unknown   int64 `json:"unknown_ids"`
	Without   int64 `json:"without_id"`
	Abandoned int64 `json:"abandoned"` // closed by the client before any of it
	Pauses    int64 `json:"accept_pauses"`
	Bound     int64 `json:"sessions_bound"` // ever
}

// A Progress is a line of what an operation that takes time has to say.
type Progress struct {
	Message string `json:"message"`
	Done    bool   `json:"done,omitempty"`  // the last line: it was reached
	Error   string `json:"error,omitempty"` // the last line: it was not
}
