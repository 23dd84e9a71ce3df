//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// The kinds of idle connections.
var idleKinds = []struct {
	name string
	mode mode
}{
	{"long polls", modeHoldPolls},
	{"WebSockets", modeHoldWS},
	{"silent, nothing sent", modeHoldQuiet},
}

const (
	idleCount      = 5000
	idleCountQuick = 1000
	settling       = time.Second // until all have arrived where they stay
)

// idle measures what fresh fronts have with many connections on which nothing
// happens.
func (p *plan) idle(ctx context.Context, r *results) error {
	n := idleCount
	if p.options.quick {
		n = idleCountQuick
	}
	fronts := append(p.goFronts(), primaryFronts(p.options.workers, false)[1])
	for _, kind := range idleKinds {
		for _, f := range fronts {
			if !p.options.wants(f.key, frontWords()) || f.peer != "" && kind.mode != modeHoldQuiet {
				continue // Node workers have no such requests
			}
			result, err := f.hold(ctx, kind.mode, n)
			if err != nil {
				return fmt.Errorf("%s, idle connections: %w", f.name, err)
			}
			result.Kind = kind.name
			r.Idle = append(r.Idle, result)
			progress("%d idle connections, %-22s %-20s %d KiB → %d KiB", result.Connections, kind.name, f.name, result.KiBBefore, result.KiBWith)
		}
	}
	return nil
}

// hold starts the front and opens connections.
func (f *front) hold(ctx context.Context, m mode, n int) (idleResult, error) {
	if err := f.start(ctx); err != nil {
		return idleResult{}, err
	}
	defer f.stop()
	before := idleResult{Front: f.key, KiBBefore: residentKiB(f.own), DescriptorsBefore: descriptors(f.own)}
	g, err := startGenerator(ctx, order{Mode: m, Slots: n, Addr: f.addrs[0], Sessions: f.sessions, App: f.app})
	if err != nil {
		return idleResult{}, err
	}
	if err := sleep(ctx, settling); err != nil {
		return idleResult{}, err
	}
	before.Connections = g.prepare.Open
	before.KiBWith, before.DescriptorsWith = residentKiB(f.own), descriptors(f.own)
	return before, g.end()
}

// sleep returns early, with an error, when we are to end.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
