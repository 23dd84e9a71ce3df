//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A generatorProcess is the generator from our side.
type generatorProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	errors  *lastWords
	prepare tally // what it did before it was ready
}

// startGenerator returns when the connections are there that the order wants.
func startGenerator(ctx context.Context, o order) (*generatorProcess, error) {
	g := &generatorProcess{errors: &lastWords{}}
	g.cmd = exec.CommandContext(ctx, os.Args[0], "play-generator")
	g.cmd.Stderr = g.errors
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var err error
	if g.in, err = g.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = bufio.NewReader(out)
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(g.in).Encode(o); err != nil {
		return nil, g.failed(ctx)
	}
	if g.prepare, err = g.read(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// read returns the next tally.
func (g *generatorProcess) read(ctx context.Context) (t tally, err error) {
	line, err := g.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t)
	}
	if err != nil {
		return tally{}, g.failed(ctx)
	}
	return t, nil
}

// failed ends a generator that did not do its work, and says why.
func (g *generatorProcess) failed(ctx context.Context) error {
	g.cmd.Process.Kill()
	g.cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the load generator failed: %s", g.errors)
}

// begin lets it do the measured part, after which it has a tally.
func (g *generatorProcess) begin() { io.WriteString(g.in, "\n") }

// end closes its connections.
func (g *generatorProcess) end() error {
	g.in.Close()
	return g.cmd.Wait()
}

// lastWords keeps the beginning of what a process writes to stderr.
type lastWords struct{ text []byte }

func (w *lastWords) Write(b []byte) (int, error) {
	w.text = append(w.text, b[:min(len(b), max(0, 2000-len(w.text)))]...)
	return len(b), nil
}

func (w *lastWords) String() string { return string(w.text) }

// measure runs one round of a load.
func (f *front) measure(ctx context.Context, l load, length time.Duration) (measurement, error) {
	return f.measureWhile(ctx, l, length, func() {})
}

// measureWhile calls meanwhile, which must not wait, when the measured part
// begins.
func (f *front) measureWhile(ctx context.Context, l load, length time.Duration, meanwhile func()) (measurement, error) {
	g, err := startGenerator(ctx, f.order(l, length))
	if err != nil {
		return measurement{}, err
	}
	before, workersBefore := cpuTimes(f.own), cpuTimes(f.others)
	g.begin()
	meanwhile()
	t, err := g.read(ctx)
	if err != nil {
		return measurement{}, err
	}
	used, workersUsed := cpuTimes(f.own)-before, cpuTimes(f.others)-workersBefore
	if err := g.end(); err != nil {
		return measurement{}, fmt.Errorf("the load generator failed: %w", err)
	}
	if err := f.alive(); err != nil {
		return measurement{}, err
	}
	if t.Requests == 0 {
		return measurement{}, fmt.Errorf("not one request was answered, %d failed: %s", t.Failed, t.FirstError)
	}
	m := newMeasurement(t, used, workersUsed)
	m.Front, m.Load = f.key, l.key
	return m, nil
}

func (f *front) order(l load, length time.Duration) order {
	return order{
		Mode: l.mode, Slots: l.slots(), Rate: l.rate, Length: length, Size: l.size,
		Addr: f.addrs[0], Sessions: f.sessions, App: f.app,
	}
}

// alive is an error if a process of the front or a worker has ended: its CPU
// time is lost.
func (f *front) alive() error {
	for _, pids := range [][]int{f.own, f.others} {
		for _, pid := range pids {
			if commandName(pid) == "" {
				return fmt.Errorf("process %d of %s has ended", pid, f.name)
			}
		}
	}
	return nil
}
