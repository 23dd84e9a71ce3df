package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// change makes another configuration hold. Listeners come first: where they
// can't be had nothing is changed. What fails later is as it was before. wait,
// which must be called, returns when the workers are gone that are not to stay.
func (a *app) change(op *supervisor.Operation, now *config.Config, say func(string)) (wait func() error, err error) {
	old := a.config.Load()
	changes := config.Changes(old, now)
	if len(changes) == 0 {
		return noWait, nil
	}
	sources, balancer, err := routes(now)
	if err == nil && len(changes[config.Listened]) > 0 {
		say("listeners: " + strings.Join(changes[config.Listened], ", "))
		err = a.changeListeners(old, now)
	}
	if err != nil {
		return noWait, fmt.Errorf("nothing was changed: %w", err)
	}
	a.supervisor.SetLimits(limitsOf(now))
	a.front.SetConfig(frontConfig(now, sources))
	if old.Balance != now.Balance {
		a.router.SetBalancer(balancer)
	}
	a.log.SetLevel(now.LogLevel)
	if names := changes[config.Swapped]; len(names) > 0 {
		say("changed: " + strings.Join(names, ", "))
	}
	var failed []error
	replaced, scaled := noWait, noWait
	if names := changes[config.Replaced]; len(names) > 0 {
		say("a rolling restart, for: " + strings.Join(names, ", "))
		launch := launchOf(now, sources)
		if replaced, err = op.Adopt(&launch, say); err != nil {
			failed = append(failed, err)
			config.Keep(now, old, config.Replaced)
			replaced = noWait
		}
	}
	if len(changes[config.Scaled]) > 0 {
		if scaled, err = op.Resize(now.Workers, false, say); err != nil {
			failed = append(failed, err)
			config.Keep(now, old, config.Scaled)
			scaled = noWait
		}
	}
	if names := changes[config.OnUpgrade]; len(names) > 0 {
		say("only an upgrade, or another start, changes: " + strings.Join(names, ", "))
	}
	if names := changes[config.OnStart]; len(names) > 0 {
		say("only another start changes: " + strings.Join(names, ", "))
	}
	config.Keep(now, old, config.OnUpgrade, config.OnStart)
	a.config.Store(now)
	return func() error { return errors.Join(replaced(), scaled()) }, errors.Join(failed...)
}

// closePatience is how long clients have to send their first request to a
// listener that a reload takes away: the kernel has that long kept them to itself.
const closePatience = 5 * time.Second

func (a *app) changeListeners(old, now *config.Config) error {
	a.opening.Lock()
	defer a.opening.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	context.AfterFunc(ctx, cancel)
	if err := a.endpoints.ChangeMetrics(now.Metrics); err != nil {
		cancel()
		return err
	}
	if !slices.Equal(old.Listen, now.Listen) {
		if err := a.doors.Change(ctx, now.Listen); err != nil {
			cancel()
			return errors.Join(err, a.endpoints.ChangeMetrics(old.Metrics))
		}
		a.endpoints.Follow(a.doors.Addrs()[0])
	}
	return nil
}
