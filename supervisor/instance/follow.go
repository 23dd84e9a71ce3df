package instance

import (
	"context"
	"slices"
	"strings"
)

// want notes that workers would listen on addr, were there no stickyd.
func (a *app) want(addr string) {
	select {
	case a.wanted <- addr:
	default: // it hears of it from every worker
	}
}

// follow listens where the first worker wants to, if the user has not said
// where, in place of the default.
func (a *app) follow(addr string) {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.followed || a.goesOn() {
		return
	}
	a.followed = true
	c := a.config.Load()
	if !c.ListenByDefault || strings.HasSuffix(addr, ":0") {
		a.log.Info("workers get their connections from stickyd; the address that they listen on is ignored",
			"addr", addr, "listen", strings.Join(c.Listen, " "))
		return
	}
	if slices.Contains(c.Listen, addr) {
		return
	}
	if err := a.doors.Change(impatient(), []string{addr}); err != nil {
		a.log.Error("cannot listen where the workers want to", "addr", addr, "err", err, "listen", strings.Join(c.Listen, " "))
		return
	}
	a.log.Info("that is where the workers want to listen", "addr", addr)
	a.endpoints.Follow(a.doors.Addrs()[0])
}

// impatient is a context that is done.
func impatient() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
