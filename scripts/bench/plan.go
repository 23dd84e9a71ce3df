//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A group is fronts that run at the same time and take turns at loads.
type group struct {
	title  string
	fronts []*front
	loads  []load
}

// A plan is what a run measures.
type plan struct {
	options options
	bin     binaries
	groups  []group
}

// single are the loads that are not measured in rounds, by their keys.
var single = []string{"idle", "million", "stopped"}

// newPlan applies the flags. The binaries will be in dir.
func newPlan(o options, dir string) *plan {
	p := &plan{options: o, bin: binaries{stickyd: filepath.Join(dir, "stickyd"), loop: filepath.Join(dir, "loop")}}
	words := loadWords()
	for _, g := range p.candidates() {
		g.loads = slices.DeleteFunc(g.loads, func(l load) bool { return !o.wants(l.key, words) })
		g.fronts = slices.DeleteFunc(g.fronts, func(f *front) bool { return !o.wants(f.key, frontWords()) })
		g.fronts = slices.DeleteFunc(g.fronts, func(f *front) bool { return !slices.ContainsFunc(g.loads, f.measures) })
		if len(g.fronts) > 0 {
			p.groups = append(p.groups, g)
		}
	}
	return p
}

// candidates are the groups without --only.
func (p *plan) candidates() []group {
	o := p.options
	if !o.node {
		fronts := append(p.goFronts(), noFront(o.workers))
		for _, f := range primaryFronts(o.workers, false) {
			f.loads = "new rate handshake"
			fronts = append(fronts, f)
		}
		return []group{{fronts: fronts, loads: goLoads(o.rate)}}
	}
	both := func(busy bool) []*front {
		return append(stickydNodeFronts(builds(p.bin, o.before), o.workers, busy), primaryFronts(o.workers, busy)...)
	}
	return []group{
		{title: "Node workers", fronts: both(false), loads: nodeLoads(o.rate)},
		{title: "Node workers whose event loops are blocked for 2 ms at a time", fronts: both(true), loads: []load{busyLoad(o.busy)}},
	}
}

// fronts are all that are started.
func (p *plan) fronts() (fronts []*front) {
	for _, g := range p.groups {
		fronts = append(fronts, g.fronts...)
	}
	if p.wantsSingle("idle") {
		fronts = append(fronts, p.idleFronts()...)
	}
	return fronts
}

// wantsSingle says whether something is measured that needs no rounds.
func (p *plan) wantsSingle(word string) bool {
	return !p.options.node && p.options.wants(word, loadWords()) &&
		(word == "idle" || p.options.wants("stickyd", frontWords()))
}

// goFronts are the fronts before Go workers.
func (p *plan) goFronts() []*front {
	n := p.options.workers
	return []*front{stickydFront(p.bin, n), loopFront(p.bin, n), deferringLoopFront(p.bin, n), acceptorFront(n), nginxFront(n), haproxyFront(n), untunedHAProxyFront(n)}
}

func knownWords() []string { return append(loadWords(), frontWords()...) }

func loadWords() (words []string) {
	for _, l := range slices.Concat(goLoads(1), []load{crowdLoad(), busyLoad(1)}) {
		words = append(words, l.key)
	}
	return append(words, single...)
}

func frontWords() (words []string) {
	p := plan{options: options{workers: 2}}
	fronts := append(p.goFronts(), noFront(2))
	fronts = append(fronts, stickydNodeFronts(builds(p.bin, beforeKey), 2, false)...)
	for _, f := range append(fronts, primaryFronts(2, false)...) {
		words = append(words, f.key)
	}
	return words
}

// run measures everything.
func (p *plan) run(ctx context.Context, r *results) error {
	for _, g := range p.groups {
		if err := p.compare(ctx, g, r); err != nil {
			return err
		}
	}
	return p.runSingle(ctx, r)
}

// The length of the round that is not counted.
const (
	warmUp      = 300 * time.Millisecond
	warmUpQuick = 100 * time.Millisecond
)

// compare measures the fronts of a group in turn.
func (p *plan) compare(ctx context.Context, g group, r *results) error {
	for _, f := range g.fronts {
		progress("starting %s", f.name)
		if err := f.start(ctx); err != nil {
			return err
		}
		defer f.stop()
	}
	for round := range p.options.rounds + 1 {
		for _, l := range g.loads {
			for i := range g.fronts { // none is always the first, or behind the same other
				f := g.fronts[(i+round)%len(g.fronts)]
				if !f.measures(l) {
					continue
				}
				if err := p.turn(ctx, f, l, round, r); err != nil {
					return fmt.Errorf("%s, %s: %w", f.name, l.name, err)
				}
			}
		}
	}
	return nil
}

// turn measures one round of a load on a front. Round 0 does not count.
func (p *plan) turn(ctx context.Context, f *front, l load, round int, r *results) error {
	length := p.options.length
	if round == 0 {
		length = warmUp
		if p.options.quick {
			length = warmUpQuick
		}
	}
	m, err := f.measure(ctx, l, length)
	if err != nil {
		return err
	}
	if m.Round = round; round > 0 {
		r.Measurements = append(r.Measurements, m)
	}
	m.progress(f.name, l.name)
	return nil
}

// progress prints a line for who waits.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (m measurement) progress(front, load string) {
	round := fmt.Sprint("round ", m.Round)
	if m.Round == 0 {
		round = "warm-up"
	}
	trouble := ""
	if m.Wrong+m.Failed > 0 {
		trouble = fmt.Sprintf(", %d wrong, %d failed %s", m.Wrong, m.Failed, m.Error)
	}
	progress("%s: %-28s %-26s %7.0f/s, %6.1f µs of the front's CPU%s", round, load, front, m.PerSecond, m.FrontCPU, trouble)
}
