//go:build linux

package main

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"time"
)

// stopped measures what is left for the clients of one worker when another,
// which new connections still come for, is stopped.
func (p *plan) stopped(ctx context.Context, r *results) error {
	f := stickydFront(p.bin, p.options.workers)
	if err := f.start(ctx); err != nil {
		return err
	}
	defer f.stop()
	victim := f.sessions[0].Worker
	pid, err := strconv.Atoi(victim)
	if err != nil {
		return err
	}
	stuck, others := f.only(victim)
	if len(others.sessions) == 0 {
		return errors.New("all sessions are in one worker")
	}
	calm, before, err := p.beside(ctx, stuck, others)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	during, with, err := p.beside(ctx, stuck, others)
	if err := errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)); err != nil {
		return err
	}
	r.find("One of %d workers stopped while new connections came for it at %d/s: the others' clients got %.0f requests/s, saturated, instead of %.0f (wrong %d, failed %d); stickyd's memory was %d KiB instead of %d.",
		p.options.workers, p.options.rate, during.PerSecond, calm.PerSecond, during.Wrong, during.Failed, with, before)
	return nil
}

// only returns the front as clients with sessions of one worker see it, and as
// the others do.
func (f *front) only(worker string) (of, others *front) {
	a, b := *f, *f
	a.sessions, b.sessions = nil, nil
	for _, s := range f.sessions {
		if s.Worker == worker {
			a.sessions = append(a.sessions, s)
		} else {
			b.sessions = append(b.sessions, s)
		}
	}
	return &a, &b
}

// beside measures the clients of the other workers, who ask as fast as they
// can, while those of one worker come at the steady rate, be they answered or
// not. It returns the front's memory as well.
func (p *plan) beside(ctx context.Context, one, others *front) (m measurement, kib int, err error) {
	length := min(p.options.length, longestStop)
	steady := load{key: "rate", mode: modeNew, rate: p.options.rate, outstanding: manyOutstanding}
	g, err := startGenerator(ctx, one.order(steady, length))
	if err != nil {
		return measurement{}, 0, err
	}
	defer g.abandon()
	g.begin()
	m, err = others.measure(ctx, load{key: "new", mode: modeNew}, length)
	return m, residentKiB(one.own), err
}

const (
	manyOutstanding = 8192             // more than stickyd lets wait
	longestStop     = 10 * time.Second // before stickyd takes the worker for hung
)

// abandon ends a generator whose tally does not matter.
func (g *generatorProcess) abandon() {
	g.cmd.Process.Kill()
	g.cmd.Wait()
}
