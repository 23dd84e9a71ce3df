//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// runSingle measures what needs no rounds.
func (p *plan) runSingle(ctx context.Context, r *results) error {
	p.handBacks(r)
	for _, one := range []struct {
		word string
		run  func(context.Context, *results) error
	}{{"idle", p.idle}, {"million", p.million}, {"stopped", p.stopped}} {
		if !p.wantsSingle(one.word) {
			continue
		}
		if err := one.run(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", one.word, err) // the word that --only knows
		}
	}
	return nil
}

// handBacks says what it costs that a connection goes to another worker, which
// happens with every request of the mixed load.
func (p *plan) handBacks(r *results) {
	mixed, kept := r.spread("stickyd", "mixed", workerCPU), r.spread("stickyd", "kept", workerCPU)
	front := r.spread("stickyd", "mixed", frontCPU)
	if front.Median > 0 && kept.Median > 0 {
		r.find("A request of another worker's session on a kept-alive connection costs stickyd %.1f µs of CPU, and the workers %.1f µs more than one that stays (%.1f instead of %.1f µs).",
			front.Median, mixed.Median-kept.Median, mixed.Median, kept.Median)
	}
}

func (r *results) find(format string, args ...any) {
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
	progress(format, args...)
}

const (
	manySessions      = 1_000_000
	manySessionsQuick = 100_000
	registerLimit     = time.Minute
)

// swift is the rate of new connections that come meanwhile.
const swift = 5000

// million registers many sessions while new connections come: with stickyd, and
// with the front whose table is a map.
func (p *plan) million(ctx context.Context, r *results) error {
	n := manySessions
	if p.options.quick {
		n = manySessionsQuick
	}
	for _, f := range []*front{stickydFront(p.bin, p.options.workers), acceptorFront(p.options.workers)} {
		if err := p.fill(ctx, r, f, n); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (p *plan) fill(ctx context.Context, r *results, f *front, n int) error {
	if err := f.start(ctx); err != nil {
		return err
	}
	defer f.stop()
	before := residentKiB(f.own)
	steady := load{key: "rate", name: "new connections", mode: modeNew, rate: swift}
	calm, err := f.measure(ctx, steady, p.options.length)
	if err != nil {
		return err
	}
	registered := make(chan error, 1)
	busy, err := f.measureWhile(ctx, steady, p.options.length, func() {
		go func() { registered <- f.register(n) }()
	})
	if err != nil {
		return err
	}
	if err := <-registered; err != nil {
		return err
	}
	after, err := f.measure(ctx, steady, p.options.length)
	if err != nil {
		return err
	}
	r.find("%d sessions, %s: its memory grew from %d to %d KiB. New connections at %d/s were answered with a p99 of %.2f ms before, %.2f ms while the sessions were registered, %.2f ms with them; %s.",
		n, f.name, before, residentKiB(f.own), swift, calm.P99, busy.P99, after.P99, f.collected())
	return nil
}

// register lets each worker register its part of so many sessions.
func (f *front) register(n int) error {
	byWorker := map[string]session{}
	for _, s := range f.sessions {
		byWorker[s.Worker] = s
	}
	done := make(chan error)
	for _, s := range byWorker {
		go func() {
			path := fmt.Sprintf("/register?n=%d&sid=%s", n/len(byWorker), s.ID)
			resp, body, err := askFor(registerLimit, f.addrs[0], path)
			if err == nil && resp.StatusCode != 200 {
				err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
			}
			done <- err
		}()
	}
	var err error
	for range byWorker {
		if e := <-done; e != nil {
			err = e
		}
	}
	return err
}
