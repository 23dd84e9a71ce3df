//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A front is what clients connect to, together with its workers.
type front struct {
	key   string // what --only calls it
	name  string
	app   app
	loads string // keys of the loads for which it is measured; "" for all
	peer  string // key of the front with a Node primary that it is compared to

	// launch starts it and returns the addresses where clients connect: one, or,
	// without a front, each worker's.
	launch func(ctx context.Context, f *front) (addrs []string, err error)

	proxies bool       // all processes that it starts are the front's own
	fronts  []*process // what launch started
	workers []*process // and the workers that it started itself

	addrs    []string
	sessions []session
	own      []int // pids of the front
	others   []int // and of the workers
}

const (
	sessionCount   = 100
	handshakeLimit = 20 * time.Second
)

// start starts the front and some sessions.
func (f *front) start(ctx context.Context) (err error) {
	if f.addrs, err = f.launch(ctx, f); err != nil {
		f.stop()
		return fmt.Errorf("cannot start %s: %w", f.name, err)
	}
	if err := f.handshakes(ctx); err != nil {
		f.stop()
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.sessions = takeTurns(f.sessions)
	f.identify()
	return nil
}

// handshakes starts the sessions. Some attempts fail: a Node primary loses
// connections while its workers start, and nginx, which learns nothing, finds
// only the sessions whose id happens to lead to where they are.
func (f *front) handshakes(ctx context.Context) error {
	f.sessions = nil
	began := time.Now()
	for n := 0; len(f.sessions) < sessionCount; n++ {
		s, err := f.app.handshake(f.addrs[n%len(f.addrs)])
		switch {
		case err == nil:
			f.sessions = append(f.sessions, s)
		case time.Since(began) > handshakeLimit:
			return fmt.Errorf("no %d sessions after %v: %w", sessionCount, handshakeLimit, err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !strings.Contains(err.Error(), "just begun"):
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// identify notes which processes are the front's and which are workers.
// stickyd's guardian is part of stickyd.
func (f *front) identify() {
	f.own, f.others = nil, nil
	for _, p := range f.fronts {
		f.own = append(f.own, p.pid())
		for _, pid := range descendants(p.pid()) {
			if f.proxies || strings.HasPrefix(commandName(pid), "sticky-guardian") {
				f.own = append(f.own, pid)
			} else {
				f.others = append(f.others, pid)
			}
		}
	}
	for _, p := range f.workers {
		f.others = append(f.others, p.pid())
	}
}

func (f *front) stop() {
	stopAll(append(f.fronts, f.workers...))
	f.fronts, f.workers = nil, nil
}

// alone starts the program that is the front and starts its workers itself.
func alone(env []string, argv ...string) func(context.Context, *front) ([]string, error) {
	return func(ctx context.Context, f *front) ([]string, error) {
		p, err := startProcess(env, argv...)
		if err != nil {
			return nil, err
		}
		f.fronts = []*process{p}
		addr, err := p.awaitListening(ctx)
		return []string{addr}, err
	}
}

// measures says whether a load is run on the front.
func (f *front) measures(l load) bool {
	return f.loads == "" || strings.Contains(" "+f.loads+" ", " "+l.key+" ")
}
