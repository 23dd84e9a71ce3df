package instance

import (
	"errors"
	"fmt"
	"net"

	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/routing/session"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/systemd"
	"github.com/stickyd/stickyd/supervisor/watch"
	"github.com/stickyd/stickyd/workerproto/node"
)

// preflight looks for what start, and workers, will need, and opens nothing.
func (a *app) preflight() error {
	c := a.config.Load()
	process := launchOf(c, session.Sources{}).Process
	errs := []error{process.Check(), supervisor.CheckMemory(c.WorkerMemory), admin.Check(c.Control, c.Metrics), watch.Check(c.Watch)}
	for _, addr := range c.Listen {
		errs = append(errs, front.Check(addr))
	}
	if c.OnCrashLoop != "keep" {
		errs = append(errs, supervisor.CheckCommand(c.Command))
	}
	return errors.Join(errs...)
}

// start does what can fail at once: it looks for the command and listens.
func (a *app) start() error {
	c := a.config.Load()
	if err := a.preflight(); err != nil {
		return err
	}
	if c.NodePreload == "on" {
		var err error
		if a.preload, err = node.Unpack(); err != nil {
			return err
		}
	}
	err := a.endpoints.ChangeMetrics(c.Metrics) // before clients come, whom a failure would turn away
	if err == nil {
		if err = a.listen(c); err == nil {
			err = a.endpoints.OpenControl(c.Control, a.firstAddr())
		}
	}
	if err != nil {
		a.doors.Close()
		a.endpoints.Close()
		a.cleanUp()
	}
	return err
}

// firstAddr is where clients connect first of all, nil if that is not known yet.
func (a *app) firstAddr() net.Addr {
	if addrs := a.doors.Addrs(); len(addrs) > 0 {
		return addrs[0]
	}
	return nil
}

// listen opens the listeners. The default one has to wait: a worker may say where
// it wants to listen, and then that is the place, or a service manager has opened
// some.
func (a *app) listen(c *config.Config) error {
	inherited, err := systemd.Listeners()
	supervisor.CloseOnExec()
	if err != nil {
		return err
	}
	for _, ln := range inherited {
		if err := a.doors.Adopt(ln.FD); err != nil {
			return fmt.Errorf("socket %s of the service manager: %w", ln.Name, err)
		}
	}
	a.spareDefault(c)
	if c.ListenByDefault {
		return nil
	}
	return a.doors.Open(c.Listen)
}

// spareDefault takes the default address out of a configuration where a service
// manager has opened a listener: nobody has asked for another one.
func (a *app) spareDefault(c *config.Config) {
	if c.ListenByDefault && a.doors.Adopted() {
		c.ListenByDefault, c.Listen = false, nil
		a.places.follows.Store(false)
	}
}

// preloadPath returns the path of what Node workers load first.
func (a *app) preloadPath() (path string, err error) {
	a.unpacking.Lock()
	defer a.unpacking.Unlock()
	if a.preload == nil {
		if a.preload, err = node.Unpack(); err != nil {
			return "", err
		}
	}
	return a.preload.Preload()
}

// cleanUp removes what start left in the file system.
func (a *app) cleanUp() {
	if a.preload != nil {
		a.preload.Remove()
	}
}
