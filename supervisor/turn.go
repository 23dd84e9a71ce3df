package supervisor

import (
	"errors"
	"sync"
)

// A Tally adds up what is asked for by who can't be told to try again, such as
// who sends signals: while an operation is under way it waits for its turn.
// Methods may be called from any goroutine.
type Tally struct {
	Operation string // its name
	Limit     int    // of the sum, and of its contrary

	mu      sync.Mutex
	sum     int
	awaited bool // somebody waits for the turn of the sum
}

// Add adds n. It returns false if somebody waits already for the sum's turn;
// otherwise who called has it done by InTurn.
func (t *Tally) Add(n int) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum = min(max(t.sum+n, -t.Limit), t.Limit)
	first = !t.awaited
	t.awaited = true
	return first
}

// Take returns the sum, which is 0 from then on.
func (t *Tally) Take() (sum int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum, t.sum, t.awaited = t.sum, 0, false
	return sum
}

// InTurn has do called in t's operation, as soon as no other one is under way,
// with what was added to t until then; do's wait, which may be nil, is called when
// the operation is over. With ErrFrozen as error do was not called, and t still
// has what was added.
func (s *Supervisor) InTurn(t *Tally, do func(op *Operation, sum int) (wait func() error, err error)) error {
	op, err := s.BeginInTurn(t.Operation)
	if err != nil {
		return err
	}
	wait, err := do(op, t.Take())
	op.End()
	if wait != nil {
		err = errors.Join(err, wait())
	}
	return err
}

// BeginInTurn is Begin that waits while another operation is under way.
func (s *Supervisor) BeginInTurn(name string) (*Operation, error) {
	return s.begin(&Operation{name: name}, true)
}
