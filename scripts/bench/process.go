//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 20 * time.Second // from exec to listening
	stopLimit  = 10 * time.Second // from SIGTERM to SIGKILL
	lastLines  = 10               // of what a process wrote, for an error
)

// A process is one that we started. It writes a line to stderr, in JSON, when
// it listens; nginx and HAProxy don't.
type process struct {
	cmd       *exec.Cmd
	listening chan string // the address, once
	ended     chan struct{}

	mu          sync.Mutex
	lines       []string
	collections []collection // of its garbage, where it was started with tellCollections
}

// startProcess starts a program in a process group of its own, so that ^C does
// not reach it: we end it. If we die without that, it gets SIGTERM.
func startProcess(env []string, argv ...string) (*process, error) {
	p := &process{listening: make(chan string, 1), ended: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(out)
	return p, nil
}

// read reads stderr to its end, which comes when its workers have ended, too.
func (p *process) read(out io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Msg == "listening" {
			select {
			case p.listening <- e.Addr:
			default:
			}
		}
		c, isCollection := parseCollection(lines.Text())
		p.mu.Lock()
		if isCollection {
			p.collections = append(p.collections, c)
		} else {
			p.lines = append(p.lines[max(0, len(p.lines)-lastLines+1):], lines.Text())
		}
		p.mu.Unlock()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// wrote is the last that it wrote.
func (p *process) wrote() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// awaitListening returns where it listens.
func (p *process) awaitListening(ctx context.Context) (string, error) {
	select {
	case addr := <-p.listening:
		return addr, nil
	case <-p.ended:
		return "", fmt.Errorf("%s ended before it listened:\n%s", p.cmd.Args[0], p.wrote())
	case <-time.After(startLimit):
		return "", fmt.Errorf("%s does not listen after %v:\n%s", p.cmd.Args[0], startLimit, p.wrote())
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// stop ends the process and what it started. Those that it leaves behind, after
// SIGKILL, are ended one by one.
func (p *process) stop() {
	family := descendants(p.pid())
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		p.cmd.Process.Kill()
		for _, pid := range family {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		<-p.ended
	}
	p.cmd.Wait()
}

// stopAll stops several at one time.
func stopAll(processes []*process) {
	var all sync.WaitGroup
	for _, p := range processes {
		all.Go(p.stop)
	}
	all.Wait()
}

// raiseLimit lets us and our children open as many descriptors as we may.
func raiseLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < leastFiles {
		return errors.New("fewer than 12,000 descriptors may be open; try: ulimit -n 20000")
	}
	return nil
}

// leastFiles is for the idle connections: a proxy needs two for each.
const leastFiles = 12_000
