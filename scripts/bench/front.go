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
	results []measurement

	cmd  *exec.Cmd
	addr string
	sids []string
}

// A measurement is one round of one load.
type measurement struct {
	load      string
	perSecond float64
	cpu       float64 // µs of the front per connection
}

func stickydCommand(binary string, workers int) []string {
	return []string{binary, "-l", "127.0.0.1:0", "-n", strconv.Itoa(workers), "--log-format", "json", "--", os.Args[0], "play-stickyd-worker"}
}

func plainCommand(workers int) []string {
	return []string{os.Args[0], "play-plain-front", strconv.Itoa(workers)}
}

// start starts the front and some sessions.
func (f *front) start() error {
	f.cmd = exec.Command(f.command[0], f.command[1:]...)
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
	for range 100 {
		sid, err := ask(f.addr, "/handshake")
		if err != nil {
			return fmt.Errorf("handshake with %s: %w", f.name, err)
		}
		f.sids = append(f.sids, sid)
	}
	return nil
}

func (f *front) stop() {
	f.cmd.Process.Signal(syscall.SIGTERM)
	f.cmd.Wait()
}

// measure runs one round.
func (f *front) measure(l load, length time.Duration) (measurement, error) {
	before, err := cpuTime(f.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	began := time.Now()
	connections, err := l.run(f, length)
	if err != nil {
		return measurement{}, err
	}
	elapsed := time.Since(began)
	after, err := cpuTime(f.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	return measurement{
		load:      l.name,
		perSecond: float64(connections) / elapsed.Seconds(),
		cpu:       float64((after - before).Nanoseconds()) / 1e3 / float64(connections),
	}, nil
}

// median returns the median of the CPU per connection under a load, its range,
// and the median rate.
func (f *front) median(l load) (cpu, low, high, rate float64) {
	var cpus, rates []float64
	for _, m := range f.results {
		if m.load == l.name {
			cpus, rates = append(cpus, m.cpu), append(rates, m.perSecond)
		}
	}
	slices.Sort(cpus)
	slices.Sort(rates)
	return cpus[len(cpus)/2], cpus[0], cpus[len(cpus)-1], rates[len(rates)/2]
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
