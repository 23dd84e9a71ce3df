package admin

import "time"

// A Status is what a stickyd was doing at one time.
type Status struct {
	Version    string    `json:"version"`
	Revision   string    `json:"revision,omitempty"` // the commit that it was built from
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Stopping   bool      `json:"stopping"`
	Operation  string    `json:"operation,omitempty"` // what an operation does now, "rolling restart: 2 of 4 slots"
	Generation int       `json:"generation"`          // of workers: each rolling restart begins one
	Listen     []string  `json:"listen"`
	Sessions   int       `json:"sessions"`
	Workers    []Worker  `json:"workers"` // by slot; an old one that drains has a slot together with its heir
	Slots      []Slot    `json:"slots,omitempty"`
	Counters   Counters  `json:"counters"`
	Lookups    Lookups   `json:"lookups"`
	Sources    []Source  `json:"sources,omitempty"` // in the order in which ids are looked for
	Hint       string    `json:"hint,omitempty"`    // why requests may miss their sessions, and what to try

	SessionTableBytes int64 `json:"session_table_bytes,omitempty"`

	// Times of all connections that were handed over, in seconds: until a head was
	// there, and in the queue of a worker or for one.
	Head  Histogram `json:"head_seconds,omitzero"`
	Queue Histogram `json:"queue_seconds,omitzero"`
}

// A Worker is one of the workers, or the place for one.
type Worker struct {
	Slot        int       `json:"slot"`
	Generation  int       `json:"generation,omitempty"`
	State       string    `json:"state"`              // starting, ready, draining, …; waiting: there is no process
	Why         string    `json:"why,omitempty"`      // it is in that state, where that is not plain
	OnTrial     bool      `json:"on_trial,omitempty"` // it has to stay ready for a while before it counts
	DrainsUntil time.Time `json:"drains_until,omitzero"`
	Since       time.Time `json:"since"` // in this state
	PID         int       `json:"pid,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	Sessions    int       `json:"sessions"`
	Untaken     int       `json:"untaken"`  // connections that it was given and has not yet accepted
	Open        int       `json:"open"`     // connections, but for those of sessions
	Restarts    int       `json:"restarts"` // of the slot: planned replacements (restart, reload, --recycle-*)
	Crashes     int       `json:"crashes"`  // of the slot: processes that crashed, hung and were killed, or never became ready
	Deaths      int       `json:"deaths_in_a_row"`
	LastExit    string    `json:"last_exit,omitempty"` // how the last one that crashed ended
	LastExitAt  time.Time `json:"last_exit_at,omitzero"`
	Next        time.Time `json:"next_start,omitzero"`

	// What the process itself uses, without what it has started.
	ResidentBytes int64   `json:"resident_bytes,omitempty"`
	CPUSeconds    float64 `json:"cpu_seconds,omitempty"`
}

// A Slot is what all the workers together that a slot has had did.
type Slot struct {
	Slot     int              `json:"slot"`
	Handed   int64            `json:"handed"`   // connections, to them
	Returned int64            `json:"returned"` // by them: another owns the session
	Rerouted int64            `json:"rerouted"` // since they died, or could not take them
	Ends     map[string]int64 `json:"ends"`     // of processes, by cause: a few words, such as exit, signal, hung
}

// Counters count connections, and a few other things, since stickyd was started.
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
	Upgrades  int64 `json:"upgrades"`
	Reloads   int64 `json:"reloads"`
}

// Lookups count what came of looking for the session of a connection, each time
// that one was handed over.
type Lookups struct {
	Owner     int64 `json:"owner"`      // found at once
	Rescued   int64 `json:"rescued"`    // found when what workers had sent was read, or after a moment
	DeadOwner int64 `json:"dead_owner"` // its worker has died
	NeverSeen int64 `json:"never_seen"` // nobody registered it, or it is forgotten
	None      int64 `json:"none"`       // the request has no id
}

// A Source counts the connections that carried a session id in one place, each time
// that one was handed over.
type Source struct {
	Source  string `json:"source"`  // as in the configuration: query:sid
	Carried int64  `json:"carried"` // an id; of these are
	Found   int64  `json:"found"`   // of a live worker
	Dead    int64  `json:"dead"`    // of one that has died
	Unknown int64  `json:"unknown"` // what nobody registered, or is forgotten
}

// A Histogram counts values by size.
type Histogram struct {
	Bounds []float64 `json:"bounds"` // upper ones, inclusive and rising
	Counts []uint64  `json:"counts"` // below each bound and above the one before; one more for the rest
	Sum    float64   `json:"sum"`
}

// A Progress is a line of what an operation that takes time has to say.
type Progress struct {
	Message string `json:"message"`         // may be empty in the last line
	Done    bool   `json:"done,omitempty"`  // the last line: it was reached
	Error   string `json:"error,omitempty"` // the last line: it was not
}
