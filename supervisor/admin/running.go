package admin

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// A Running is the stickyd that is asked. Methods that are given say tell with it
// how they go, return when it is done, with an error if it was not reached, and
// are not interrupted if who asked goes away; several may be called at a time.
// The others must not wait, for an operation neither.
type Running interface {
	Status() Status
	Logs() *logs.Ring[logs.Line]
	Events() *logs.Ring[logs.Event]

	// Explain says what is known of a session. The id is a credential.
	Explain(id []byte) Explanation

	Stop() // as a signal does

	// Remaining says what the end waits for. It is equal to what it was before
	// where only time has passed.
	Remaining() fmt.Stringer

	Restart(o RestartOptions, say func(string)) error
	Scale(s Scale, say func(string)) error
	Reload(say func(string)) error

	// Drain lets the slot's worker get no new sessions, and end when those that
	// it has have ended, or at the time limit. The slot rests until a restart.
	Drain(slot int, say func(string)) error

	// Cancel has the operation under way give up, and says what that came to;
	// that there is none is no error.
	Cancel(say func(string)) error

	// Upgrade lets another binary take over in place, the one that runs, as it
	// is on disk now, for "". It begins that and returns; c is its own.
	Upgrade(binary string, c *Caller)
}

// RestartOptions say what to restart, and how.
type RestartOptions struct {
	Slots      []int `json:"slots,omitempty"`       // none: all
	Parallel   int   `json:"parallel,omitempty"`    // slots at a time; 0: as configured
	MaxUnready int   `json:"max_unready,omitempty"` // new workers that may crash before it stops; 0: as configured
}

func (o *RestartOptions) check() error {
	for i, slot := range o.Slots {
		if err := checkSlot(slot); err != nil {
			return err
		}
		if slices.Contains(o.Slots[:i], slot) {
			return fmt.Errorf("worker %d is given twice", slot)
		}
	}
	if o.Parallel < 0 || o.MaxUnready < 0 {
		return errors.New("parallel and max-unready cannot be negative")
	}
	return nil
}

// A Scale is how many workers there shall be: N, or, if it is relative, N more
// than now.
type Scale struct {
	Relative bool `json:"relative,omitempty"`
	N        int  `json:"n"`
}

func (s *Scale) check() error {
	switch {
	case s.Relative && s.N == 0:
		return errors.New("0 more workers changes nothing; say for example +1 or -1")
	case !s.Relative && s.N < 1:
		return fmt.Errorf("%d workers are too few; stickyd stop stops all", s.N)
	}
	return nil
}

// drainRequest is the body of a request to drain.
type drainRequest struct {
	Slot int `json:"slot"`
}

func (d *drainRequest) check() error { return checkSlot(d.Slot) }

func checkSlot(slot int) error {
	if slot < 1 {
		return fmt.Errorf("%d is not a worker number; they are numbered from 1", slot)
	}
	return nil
}

// upgradeRequest is the body of a request to upgrade.
type upgradeRequest struct {
	Binary string `json:"binary,omitempty"` // a path; "": the one that runs
}

func (u *upgradeRequest) check() error { return nil }

// nothing is the body of a request that has none.
type nothing struct{}

func (n *nothing) check() error { return nil }

// What may be known of a session.
const (
	Owned   = "owned"   // by a live worker
	Dead    = "dead"    // its worker has died
	Unknown = "unknown" // no worker registered it, or it has ended
)

// An Explanation is what is known of a session and of its worker.
type Explanation struct {
	State       string    `json:"state"`
	Slot        int       `json:"slot,omitempty"`
	Generation  int       `json:"generation,omitempty"`
	PID         int       `json:"pid,omitempty"`
	WorkerSince time.Time `json:"worker_since,omitzero"` // started
	DiedAt      time.Time `json:"died_at,omitzero"`      // the worker
}
