package instance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/config"
)

// change makes another configuration hold. Listeners come first: where they
// can't be had nothing is changed. Of what fails later the old values stay, and
// the error says of which. wait, which must be called, returns when the workers
// are gone that are not to stay.
func (a *app) change(op *supervisor.Operation, now *config.Config, say func(string)) (wait func() error, err error) {
	old := a.config.Load()
	c := &change{app: a, op: op, say: say, old: old, now: now, names: config.Changes(old, now)}
	if len(c.names) == 0 {
		return noWait, nil
	}
	sources, balancer, err := routes(now)
	if err == nil {
		err = c.listeners()
	}
	if err != nil {
		return noWait, fmt.Errorf("nothing was changed: %w", err)
	}
	c.swap(sources, balancer)
	if now.Workers < old.Workers {
		c.workers() // none of those that are to go is replaced before
	}
	c.launch(sources)
	if now.Workers > old.Workers {
		c.workers()
	}
	c.leave(config.OnUpgrade, "only an upgrade, or another start, changes: ")
	c.leave(config.OnStart, "only another start changes: ")
	a.config.Store(now)
	return c.wait, c.outcome()
}

// A change is one that is being made.
type change struct {
	app      *app
	op       *supervisor.Operation
	say      func(string)
	old, now *config.Config // now is given the old values of what fails
	names    map[config.Effect][]string
	holds    []string // names of options whose new values hold
	fails    []string // and of those that were to
	errs     []error
	waits    []func() error
}

// listeners opens and closes those of clients and of metrics: all or none.
func (c *change) listeners() error {
	names := c.names[config.Listened]
	if len(names) == 0 {
		return nil
	}
	c.say("listeners: " + strings.Join(names, ", "))
	c.holds = append(c.holds, names...)
	return c.app.changeListeners(c.old, c.now)
}

// swap does what takes no more than to say so. Where sessions' ids are looked for
// is the front's matter as well as the workers', and launch may take it back.
func (c *change) swap(sources session.Sources, balancer routing.Balancer) {
	a := c.app
	a.supervisor.SetLimits(limitsOf(c.now))
	a.setFront(frontConfig(c.now, sources))
	if c.old.Balance != c.now.Balance {
		a.router.SetBalancer(balancer)
	}
	a.log.SetLevel(c.now.LogLevel)
	if names := c.names[config.Swapped]; len(names) > 0 {
		c.say("changed: " + strings.Join(names, ", "))
		c.holds = append(c.holds, names...)
	}
}

// launch replaces the workers where they are to be started in another way.
func (c *change) launch(sources session.Sources) {
	if names := c.names[config.Replaced]; len(names) > 0 {
		c.say("a rolling restart, for: " + strings.Join(names, ", "))
		launch := launchOf(c.now, sources)
		wait, err := c.op.Adopt(&launch, c.say)
		c.done(config.Replaced, wait, err)
		if err != nil {
			before, _, _ := routes(c.now) // can't fail: they are the old ones again
			c.app.setFront(frontConfig(c.now, before))
		}
	}
}

// workers changes how many there are.
func (c *change) workers() {
	wait, err := c.op.Resize(c.now.Workers, false, c.say)
	c.done(config.Scaled, wait, err)
}

// done notes how it went with what has an effect.
func (c *change) done(effect config.Effect, wait func() error, err error) {
	names := c.names[effect]
	if err != nil {
		config.Keep(c.now, c.old, effect)
		c.fails = append(c.fails, names...)
		c.errs = append(c.errs, err)
		return
	}
	c.holds = append(c.holds, names...)
	c.waits = append(c.waits, wait)
}

// leave keeps the old values of what has an effect.
func (c *change) leave(effect config.Effect, why string) {
	if names := c.names[effect]; len(names) > 0 {
		c.say(why + strings.Join(names, ", "))
	}
	config.Keep(c.now, c.old, effect)
}

// wait returns when the workers are gone that are not to stay.
func (c *change) wait() error {
	var errs []error
	for _, wait := range c.waits {
		errs = append(errs, wait())
	}
	return errors.Join(errs...)
}

// outcome is nil, or says what was not reached, and what is in effect all the same.
func (c *change) outcome() error {
	if len(c.errs) == 0 {
		return nil
	}
	text := "unchanged: " + strings.Join(c.fails, ", ")
	if len(c.holds) > 0 {
		text += "; in effect all the same: " + strings.Join(c.holds, ", ")
	}
	return fmt.Errorf("%w\n%s", errors.Join(c.errs...), text)
}
