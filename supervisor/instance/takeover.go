package instance

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/terminal"
	"github.com/stickyd/stickyd/supervisor/upgrade"
	"github.com/stickyd/stickyd/workerproto/node"
)

// CheckTakeover says whether this program could take over.
func CheckTakeover(t *upgrade.Takeover, c *config.Config) error {
	if _, err := readBefore(t.State); err != nil {
		return err
	}
	if _, _, err := routes(c); err != nil {
		return err
	}
	return t.Passed()
}

// TakeOver goes on as Run does where another program was, as c says, or is the
// old program again, which the new one has given back to, as it was.
func (p *Program) TakeOver(t *upgrade.Takeover, c *config.Config) error {
	p.begin()
	b, err := readBefore(t.State)
	if err != nil {
		return p.giveBack(t, err)
	}
	if t.Returned() != "" {
		a, err := p.carryOn(b, errors.New(t.Returned()))
		t.Close()
		return p.run(a, err)
	}
	a, err := p.build(b.startOf(c), b.table)
	if err != nil {
		return p.giveBack(t, err)
	}
	err = a.succeed(b, c)
	t.Close()
	return p.run(a, err)
}

// giveBack returns only if the old program can't be had again.
func (p *Program) giveBack(t *upgrade.Takeover, why error) error {
	err := t.Return(why)
	terminal.Writer(os.Stderr).Write([]byte(p.Text(err)))
	return err
}

// carryOn goes on here with what was frozen for another program, because of why.
// It needs nothing that might not be had.
func (p *Program) carryOn(b *before, why error) (*app, error) {
	c := &b.meta.Config
	a, err := p.build(c, b.table)
	if err != nil {
		a.log.Close()
		plain := *c
		plain.Poller = "runtime" // which has what it needs
		a, err = p.build(&plain, b.table)
	}
	if err == nil {
		err = a.restore(b)
	}
	if err != nil {
		return a, err
	}
	gap := b.gap()
	a.log.Error("upgrade failed, this program goes on", "err", why, "accepting_paused", gap)
	a.caller(b).End(fmt.Errorf("%w; the old program goes on, after %v in which nobody was accepted", why, gap))
	return a, nil
}

// succeed goes on with what was frozen by another program, and makes c hold.
func (a *app) succeed(b *before, c *config.Config) error {
	if err := a.restore(b); err != nil {
		return err
	}
	gap, caller := b.gap(), a.caller(b)
	a.upgrades.Add(1)
	a.log.Info("upgraded", "version", a.program.Version, "accepting_paused", gap, "sessions", a.table.Len())
	a.renew = func() func() {
		caller.Say(fmt.Sprintf("%s runs, after %v in which nobody was accepted", a.program.Version, gap))
		wait, err := a.renewConfig(c, caller.Say)
		if err != nil {
			a.log.Error("not all of the new configuration is in effect", "err", err)
			err = fmt.Errorf("the new program runs, but not all of its configuration is in effect: %w", err)
		}
		return func() {
			if failed := wait(); failed != nil {
				err = errors.Join(err, fmt.Errorf("the new program runs, but: %w", failed))
			}
			caller.End(err)
		}
	}
	return nil
}

// renewConfig makes c hold after an upgrade, as a reload does.
func (a *app) renewConfig(c *config.Config, say func(string)) (wait func() error, err error) {
	a.spareDefault(c)
	if len(config.Changes(a.config.Load(), c)) == 0 {
		return noWait, nil
	}
	op, err := a.supervisor.BeginInTurn("reload")
	if err != nil {
		return noWait, err
	}
	defer op.End()
	return a.change(op, c, say)
}

// caller is who asked for the upgrade.
func (a *app) caller(b *before) *admin.Caller {
	c, err := admin.Attach(b.meta.Caller)
	if err != nil {
		a.log.Warn("who asked for the upgrade can't be told", "err", err)
	}
	return c
}

// restore fills the rooms with what they knew.
func (a *app) restore(b *before) (err error) {
	m := b.meta
	a.started, a.followed, a.defaultOpen, a.before = m.Started, m.Followed, m.DefaultOpen, m
	a.upgrades.Store(m.Upgrades)
	a.reloads.Store(m.Reloads)
	a.log.Restore(m.Logs)
	a.router.Restore(m.Router)
	a.dead.restore(m.Dead)
	a.sockets.Restore(m.Sockets)
	a.doors.Remember(m.Places)
	if m.Preload != "" {
		a.preload = node.Reuse(m.Preload)
	}
	if a.supervisor, err = supervisor.Resume(a.spec, m.Supervisor, a, a.log.Logger); err != nil {
		return fmt.Errorf("cannot take over the workers: %w", err)
	}
	a.sockets.Settle()
	for _, ln := range m.Listeners {
		if err := a.doors.Restore(ln); err != nil {
			a.log.Error("clients are accepted there no longer", "addr", ln.Addr, "err", err)
			syscall.Close(ln.FD) // else they would queue up
		}
	}
	if len(a.doors.Addrs()) == 0 && len(m.Listeners) > 0 {
		return errors.New("cannot take over any listener")
	}
	_, tls := a.places.anyTLS()
	a.front.PassTLS(tls)
	a.restoreEndpoints(m)
	return nil
}

// restoreEndpoints fails for none of those that clients need.
func (a *app) restoreEndpoints(m *meta) {
	a.endpoints.Restore(m.Endpoints)
	if err := a.endpoints.ChangeMetrics(m.Config.Metrics); err != nil {
		a.log.Error("metrics are served there no longer", "err", err)
	}
	path := a.config.Load().Control
	if a.endpoints.Control() != "" && path == m.Config.Control {
		return
	}
	a.endpoints.CloseControl()
	if err := a.endpoints.OpenControl(path, a.firstAddr()); err != nil {
		a.log.Error("nobody can ask or tell this process anything", "err", err)
	}
}

// resume lets go on what waited while the app was frozen.
func (a *app) resume() {
	if a.before == nil {
		return
	}
	members, m := a.members, a.before
	a.front.Resume(m.Front, func(incarnation uint32) *routing.Member { return members[incarnation] })
	a.before, a.members = nil, nil
	if slices.ContainsFunc(a.supervisor.Status(), func(sl supervisor.SlotStatus) bool { return sl.State == "ready" }) {
		a.manager.Ready()
	}
	if a.renew == nil {
		a.resumeWaiting(m)
		return
	}
	a.tasks.Go(func() {
		wait := a.renew()
		a.resumeWaiting(m) // another upgrade must not come before that
		wait()
	})
}

// Rejoin is called by the supervisor for each worker that was there before.
func (a *app) Rejoin(w *supervisor.Worker, incarnation uint32) (supervisor.Client, error) {
	i := slices.IndexFunc(a.before.Members, func(m routing.MemberState) bool { return uint32(m.Incarnation) == incarnation })
	t := &target{app: a, worker: w}
	if i < 0 {
		// It was removed, as is one that finishes, and gets nothing more.
		t.member = a.router.Join(routing.Seat{Slot: w.Slot, Generation: w.Generation, Window: w.Window()}, t)
		t.remove()
		return t, nil
	}
	var err error
	if t.member, err = a.router.Rejoin(a.before.Members[i], t); err != nil {
		return nil, err
	}
	if a.members == nil {
		a.members = make(map[uint32]*routing.Member)
	}
	a.members[incarnation] = t.member
	return t, nil
}
