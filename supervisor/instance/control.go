package instance

import (
	"fmt"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/logs"
)

// Stop asks for the end.
func (a *app) Stop() {
	select {
	case a.asked <- struct{}{}:
	default: // it was asked already
	}
}

// Remaining says what the end waits for.
func (a *app) Remaining() fmt.Stringer { return a.remaining() }

// Restart replaces workers.
func (a *app) Restart(o admin.RestartOptions, say func(string)) error {
	unready := o.MaxUnready
	if unready == 0 {
		unready = -1 // as configured
	}
	return a.supervisor.Restart(supervisor.Rollout{Slots: o.Slots, Parallel: o.Parallel, MaxUnready: unready}, say)
}

// Scale changes the number of workers.
func (a *app) Scale(s admin.Scale, say func(string)) error {
	return a.supervisor.Scale(s.N, s.Relative, say)
}

// Drain empties a slot.
func (a *app) Drain(slot int, say func(string)) error { return a.supervisor.Drain(slot, say) }

// Cancel ends what is under way.
func (a *app) Cancel(say func(string)) error { return a.supervisor.Cancel(say) }

// Logs returns what workers printed.
func (a *app) Logs() *logs.Ring[logs.Line] { return a.log.Lines() }

// Events returns what stickyd logged.
func (a *app) Events() *logs.Ring[logs.Event] { return a.log.Events() }
