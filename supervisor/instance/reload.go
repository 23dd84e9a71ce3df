package instance

import (
	"errors"
	"fmt"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/config"
)

// Reload reads the configuration again and makes it hold. It returns when the
// workers that are replaced are gone; from when they only drain on, another
// reload or an upgrade may follow.
func (a *app) Reload(say func(string)) error {
	wait, err := a.reload(say)
	return errors.Join(err, wait())
}

// reload is Reload without the wait, which must be called.
func (a *app) reload(say func(string)) (wait func() error, err error) {
	op, err := a.supervisor.Begin("reload")
	if err != nil {
		return noWait, err
	}
	defer op.End()
	return a.reloadIn(op, say)
}

func (a *app) reloadIn(op *supervisor.Operation, say func(string)) (wait func() error, err error) {
	now, err := a.program.Load()
	if err != nil {
		return noWait, fmt.Errorf("nothing was changed: %w", err)
	}
	a.spareDefault(now)
	if len(config.Changes(a.config.Load(), now)) == 0 {
		say("nothing has changed")
	}
	defer a.manager.Reloading()()
	wait, err = a.change(op, now, say)
	if err == nil {
		a.reloads.Add(1)
	}
	return wait, err
}

func noWait() error { return nil }
