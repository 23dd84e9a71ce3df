package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/upgrade"
)

// Upgrade lets another binary, or the one that was started as it is on disk now,
// take over in place.
func (a *app) Upgrade(binary string, c *admin.Caller) {
	a.tasks.Go(func() {
		err := a.upgrade(binary, c)
		a.logUpgrade(err)
		if err != nil {
			c.End(err)
		}
	})
}

// logUpgrade logs what came of one here.
func (a *app) logUpgrade(err error) {
	switch {
	case err == nil: // the new program logs it
	case errors.Is(err, errLost):
		a.log.Error("upgrade failed, stickyd ends", "err", err)
	default:
		a.log.Error("upgrade failed, nothing has changed", "err", err)
	}
}

func (a *app) upgrade(binary string, c *admin.Caller) error {
	op, err := a.supervisor.Begin("upgrade")
	if err != nil {
		return err
	}
	defer op.End()
	return a.upgradeIn(op, binary, c)
}

// upgradeIn is upgrade in an operation that has begun.
func (a *app) upgradeIn(op *supervisor.Operation, binary string, c *admin.Caller) error {
	a.doors.Settle() // those that a reload has taken away
	path, err := upgrade.Binary(binary)
	if err != nil {
		return err
	}
	a.log.Info("upgrading", "binary", path)
	op.Say(c.Say, "checking %s", path)
	err = a.check(op.Context(), path)
	if cancelled := op.Commit(); cancelled != nil {
		return cancelled
	}
	if err != nil {
		return err
	}
	c.Say("it can take over")
	return a.freeze(path, c)
}

// check has the binary look at what there is now, as far as that can be seen
// while it is at work.
func (a *app) check(ctx context.Context, path string) error {
	m := &meta{
		Config: *a.config.Load(), Started: a.started, Upgrades: a.upgrades.Load(), Router: a.router.State(),
		Logs: a.log.State(), Caller: -1,
	}
	state, err := a.write(m)
	if err != nil {
		return err
	}
	defer state.Close()
	plan := upgrade.Plan{
		Binary: path, Args: os.Args, Env: os.Environ(), State: state,
		Start: supervisor.StartChild, Wait: supervisor.WaitChild,
	}
	return plan.Check(ctx)
}

// freeze puts down the rooms: first nobody is answered, then nobody accepted, then
// the workers are left alone. From the first step that can't be taken back on
// there is only the way forward, which leads to carryOn if need be: what goes
// wrong costs what it is about, or is what exec fails with, and no more. Only
// where the workers are not to be had, since they have come to their end, does
// the process end.
func (a *app) freeze(path string, c *admin.Caller) (err error) {
	if !a.phase.CompareAndSwap(running, freezing) {
		return supervisor.ErrStopping
	}
	a.endpoints.Freeze()
	a.opening.Lock()
	defer a.opening.Unlock()
	m := &meta{
		Config: *a.config.Load(), Started: a.started, Upgrades: a.upgrades.Load(), Reloads: a.reloads.Load(),
		Watched: a.watched.Load(), Followed: a.followed, DefaultOpen: a.defaultOpen, At: time.Now(), Places: a.doors.Places(),
	}
	if m.Listeners, err = a.doors.Detach(); err != nil {
		a.log.Error("clients are accepted there no longer", "err", err)
	}
	a.front.Freeze()
	if m.Supervisor, err = a.supervisor.Freeze(); err != nil {
		a.lost = fmt.Errorf("%w: %w", errLost, err)
		return a.lost
	}
	a.takeWaiting(m)
	m.Front = a.front.State()
	m.Sockets = a.sockets.State()
	m.Router = a.router.State()
	m.Members = a.router.MemberStates()
	m.Dead = a.dead.state()
	m.Endpoints = a.endpoints.Detach()
	if a.preload != nil {
		m.Preload = a.preload.Dir()
	}
	if m.Caller, err = c.Detach(); err != nil {
		a.log.Warn("who asked for the upgrade will not be told of its end", "err", err)
	}
	a.log.Close()
	m.Logs = a.log.State() // with what could not be written
	f := &frozen{before: before{m, a.table}, binary: path}
	f.state, f.failed = a.write(m)
	a.frozen = f
	return nil
}

// errLost is what an upgrade ends with that is the end of stickyd as well.
var errLost = errors.New("the workers can't be taken along")

// A frozen is an app that is to go on in another program.
type frozen struct {
	before
	state  *os.File // for that program
	failed error    // why there is none
	binary string
}

// exec returns only with an error.
func (f *frozen) exec(p *Program) error {
	if f.failed != nil {
		return f.failed
	}
	defer f.state.Close()
	plan := upgrade.Plan{Binary: f.binary, Args: os.Args, Env: os.Environ(), State: f.state, FDs: f.meta.descriptors()}
	var pending []syscall.Signal
	plan.Pending = func() []syscall.Signal {
		for len(p.signals) > 0 {
			pending = append(pending, (<-p.signals).(syscall.Signal))
		}
		return pending
	}
	err := plan.Exec()
	for _, s := range pending { // they are still to be acted on
		p.keep(s)
	}
	return err
}
