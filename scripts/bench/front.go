package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A front is a program that accepts connections and hands them to workers.
type front struct {
	name    string
	command []string
	env     []string // beside ours
	app     app
	results []measurement

	cmd  *exec.Cmd
	addr string
	sids []string
}

// An app is what the workers run.
type app struct {
	handshake func(addr string) (sid string, err error)
	path      string // to ask for a session that is known, without its id
}

// A measurement is one round of one load.
type measurement struct {
	load          string
	perSecond     float64
	cpu           float64 // µs of the front per request
	all           float64 // the same of front and workers together
	p50, p90, p99 time.Duration
	wrong         int64 // requests that reached a worker which does not have the session
}

// goApp is the workers of workers.go.
var goApp = app{
	handshake: func(addr string) (string, error) { return ask(addr, "/handshake") },
	path:      "/poll?EIO=4&transport=polling&t=Oabc&sid=",
}

func stickydCommand(binary string, workers int) []string {
	return []string{binary, "-l", "127.0.0.1:0", "-n", strconv.Itoa(workers), "--log-format", "json", "--", os.Args[0], "play-stickyd-worker"}
}

func plainCommand(workers int) []string {
	return []string{os.Args[0], "play-plain-front", strconv.Itoa(workers)}
}

const sessions = 100

// start starts the front and some sessions.
func (f *front) start() error {
	f.cmd = exec.Command(f.command[0], f.command[1:]...)
	f.cmd.Env = append(os.Environ(), f.env...)
	out, err := f.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := f.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for f.addr == "" {
		if !lines.Scan() {
			return fmt.Errorf("%s ended before it listened", f.name)
		}
		var e struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Msg == "listening" {
			f.addr = e.Addr
		}
	}
	go func() { // until it ends: it must not block on its log
		for lines.Scan() {
		}
	}()
	return f.handshakes()
}

// handshakes starts the sessions. A Node primary loses connections while its
// workers start, so the first ones may fail for a while.
func (f *front) handshakes() error {
	const patience = 20
	for failures := 0; len(f.sids) < sessions; {
		sid, err := f.app.handshake(f.addr)
		if err == nil {
			f.sids = append(f.sids, sid)
			continue
		}
		if failures++; failures > patience {
			return fmt.Errorf("handshake with %s: %w", f.name, err)
		}
		f.sids = f.sids[:0]
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func (f *front) stop() {
	f.cmd.Process.Signal(syscall.SIGTERM)
	f.cmd.Wait()
}

// measure runs one round.
func (f *front) measure(l load, length time.Duration) (measurement, error) {
	pid := f.cmd.Process.Pid
	family := append(descendants(pid), pid)
	before, err := cpuTime(pid)
	if err != nil {
		return measurement{}, err
	}
	allBefore := cpuTimes(family)
	did, err := l.run(f, length)
	if err != nil {
		return measurement{}, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return measurement{}, err
	}
	n := float64(len(did.latencies))
	slices.Sort(did.latencies)
	return measurement{
		load:      l.name,
		perSecond: n / length.Seconds(), // one that hangs at the end does not count
		cpu:       float64((after - before).Nanoseconds()) / 1e3 / n,
		all:       float64((cpuTimes(family) - allBefore).Nanoseconds()) / 1e3 / n,
		p50:       did.latencies[len(did.latencies)/2],
		p90:       did.latencies[len(did.latencies)*90/100],
		p99:       did.latencies[len(did.latencies)*99/100],
		wrong:     did.wrong,
	}, nil
}

// median returns the median of a figure under a load, and its range.
func (f *front) median(l load, figure func(measurement) float64) (median, low, high float64) {
	var all []float64
	for _, m := range f.results {
		if m.load == l.name {
			all = append(all, figure(m))
		}
	}
	slices.Sort(all)
	return all[len(all)/2], all[0], all[len(all)-1]
}

// wrong is how many requests went wrong under a load.
func (f *front) wrong(l load) (n int64) {
	for _, m := range f.results {
		if m.load == l.name {
			n += m.wrong
		}
	}
	return n
}

// cpuTime is what all threads of a process have used (proc(5), schedstat).
func cpuTime(pid int) (total time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of process %d in /proc", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}

// cpuTimes adds up what is known of several processes.
func cpuTimes(pids []int) (total time.Duration) {
	for _, pid := range pids {
		d, _ := cpuTime(pid)
		total += d
	}
	return total
}

// descendants returns the children of a process, and theirs.
func descendants(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
				pids = append(pids, descendants(child)...)
			}
		}
	}
	return pids
}
