//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
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

	settling      = time.Second // until all have arrived where they stay
	settlingQuick = 300 * time.Millisecond
)

// idle measures what fresh fronts have with many connections on which nothing
// happens.
func (p *plan) idle(ctx context.Context, r *results) error {
	n, settled := idleCount, settling
	if p.options.quick {
		n, settled = idleCountQuick, settlingQuick
	}
	fronts := p.idleFronts()
	for _, kind := range idleKinds {
		for _, f := range fronts {
			result, err := f.hold(ctx, kind.mode, n, settled)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			result.Kind = kind.name
			r.Idle = append(r.Idle, result)
			progress("%d idle connections, %-22s %-20s %d KiB → %d KiB", result.Connections, kind.name, f.name, result.KiBBefore, result.KiBWith)
		}
	}
	return nil
}

// idleFronts are those that are measured with idle connections.
func (p *plan) idleFronts() []*front {
	fronts := append(p.goFronts(), primaryFronts(p.options.workers, false)...)
	words := frontWords()
	return slices.DeleteFunc(fronts, func(f *front) bool { return f.loads != "" || !p.options.wants(f.key, words) })
}

// hold starts the front, opens connections and looks at it some time later.
func (f *front) hold(ctx context.Context, m mode, n int, settled time.Duration) (idleResult, error) {
	if err := f.start(ctx); err != nil {
		return idleResult{}, err
	}
	defer f.stop()
	before := idleResult{Front: f.key, KiBBefore: residentKiB(f.own), DescriptorsBefore: descriptors(f.own)}
	g, err := startGenerator(ctx, order{Mode: m, Slots: n, Addr: f.addrs[0], Sessions: f.sessions, App: f.app})
	if err != nil {
		return idleResult{}, err
	}
	if err := sleep(ctx, settled); err != nil {
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
