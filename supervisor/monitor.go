package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A crash is how a new worker ended that was to stay, on trial or after it.
type crash struct {
	slot   int
	how    string   // such as "crashed (exit status 1)"
	ran    bool     // it was a process
	lines  []string // that it printed last
	before int      // other new workers of the operation that had crashed
}

func (c *crash) Error() string {
	text := fmt.Sprintf("new worker %d %s", c.slot, c.how)
	if c.before > 0 {
		text += ", after " + counted(c.before, "other one", "others")
	}
	return text
}

// crash returns how the slot's worker, which may never have been a process, has
// ended.
func (sl *slot) crash(cause string, lines []string) *crash {
	how := "crashed (" + cause + ")"
	if sl.w == nil || sl.w.fault != "" {
		how = "failed: " + cause
	}
	return &crash{slot: sl.n, how: how, ran: sl.w != nil, lines: lines}
}

// A monitor notes which new workers of an operation crash after their trials. A
// worker is watched until the operation is over or another operation replaces it
// or takes it away. Methods may be called from any goroutine.
type monitor struct {
	tolerated int             // workers that may crash
	exceeded  context.Context // done: more have
	exceed    context.CancelFunc

	mu      sync.Mutex
	crashes int    // workers that have crashed, each counted once
	last    *crash // the one that was too many
}

func newMonitor(tolerated int) *monitor {
	m := &monitor{tolerated: tolerated}
	m.exceeded, m.exceed = context.WithCancel(context.Background())
	return m
}

func (m *monitor) note(c *crash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.before = m.crashes
	if m.crashes++; m.crashes == m.tolerated+1 {
		m.last = c
		m.exceed()
	}
}

// err returns the *crash that was too many, nil if there was none.
func (m *monitor) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		return nil
	}
	return m.last
}

// within returns a context that is done when parent is, or when too many workers
// have crashed. release frees what it has.
func (m *monitor) within(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	forget := context.AfterFunc(m.exceeded, cancel)
	return ctx, func() {
		forget()
		cancel()
	}
}

// report tells the slot's monitor, once, that its worker has not stayed, unless
// it was not to stay any more.
func (sl *slot) report(c *crash) {
	if sl.monitor != nil && !sl.leaving && sl.s.stopping.Err() == nil {
		sl.monitor.note(c)
		sl.monitor = nil
	}
}

// stopped returns the error that the operation, or a step of it, ends with because
// of err, and logs it: what is stopped, why, what runs now, and what to type next.
func (op *Operation) stopped(what string, err error, now, next string) error {
	if errors.Is(err, ErrStopping) {
		return err
	}
	text := fmt.Sprintf("%s stopped: %v. %s", what, err, now)
	if c := (*crash)(nil); errors.As(err, &c) && c.ran {
		text = withLines(text, c.lines)
	}
	text += "\n" + next
	op.s.log.Error("operation failed", "operation", op.name, "after", op.age(), "reason", text)
	return errors.New(text)
}
