//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit  = time.Minute      // until it listens
	settleLimit = time.Minute      // until each slot has a ready worker
	stopLimit   = time.Minute      // from SIGTERM to the end
	verbLimit   = 3 * time.Minute  // of one command
	lookEvery   = time.Second / 10 // at the status
	hangTimeout = 2 * time.Second
)

// A stickyd is the one under test. It keeps its process for the whole run.
type stickyd struct {
	programs
	judge   *judge
	cmd     *exec.Cmd
	addr    string
	control string
	config  string
	build   int // of programs.stickyd, that runs
	drain   time.Duration
	ended   chan struct{}
	http    *http.Client

	mu      sync.Mutex
	workers int // wanted
	lines   []string
}

func startStickyd(dir string, p programs, workers int, j *judge) (*stickyd, error) {
	s := &stickyd{
		programs: p, judge: j, workers: workers, drain: 5 * time.Second, ended: make(chan struct{}),
		control: filepath.Join(dir, "control.sock"), config: filepath.Join(dir, "stickyd.toml"),
	}
	s.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.control)
		},
	}}
	if err := s.configure(); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(p.stickyd[0], "--config", s.config, "--control", s.control, "--", p.worker)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		return nil, err
	}
	listening := make(chan string, 1)
	go s.read(r, listening)
	go func() { s.cmd.Wait(); close(s.ended) }()
	select {
	case s.addr = <-listening:
	case <-s.ended:
		return nil, fmt.Errorf("stickyd ended:\n%s", s.lastLines())
	case <-time.After(startLimit):
		return nil, errors.Join(errors.New("stickyd does not listen"), s.stop())
	}
	go s.watch()
	return s, nil
}

// configure writes the configuration. What changes can be reloaded.
func (s *stickyd) configure() error {
	text := fmt.Sprintf(`listen = "127.0.0.1:0"
workers = %d
drain_timeout = %q
stop_timeout = "5s"
hang_timeout = %q
dump_signal = "none"
max_draining = 1024
log_format = "json"
`, s.wanted(), s.drain, hangTimeout)
	return os.WriteFile(s.config, []byte(text), 0o600)
}

const keepLines = 40

func (s *stickyd) read(r io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Msg == "listening" {
			select {
			case listening <- e.Addr:
			default:
			}
		}
		s.mu.Lock()
		s.lines = append(s.lines[max(0, len(s.lines)-keepLines+1):], lines.Text())
		s.mu.Unlock()
	}
}

func (s *stickyd) lastLines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// wanted returns how many workers are.
func (s *stickyd) wanted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers
}

func (s *stickyd) want(workers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers = workers
}

// A status is what we want to know of the one that stickyd gives.
type status struct {
	Workers []worker `json:"workers"`
}

type worker struct {
	State       string    `json:"state"`
	PID         int       `json:"pid"`
	DrainsUntil time.Time `json:"drains_until"`
}

// status asks on the control socket.
func (s *stickyd) status() (st status, err error) {
	resp, err := s.http.Get("http://stickyd/v1/status")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// watch tells the judge all the time which worker drains until when.
func (s *stickyd) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		if st, err := s.status(); err == nil {
			s.judge.look(st.Workers)
		}
	}
}

// ready returns the processes that are, without one that has ended and was not
// missed yet.
func ready(st status) (pids []int) {
	for _, w := range st.Workers {
		if w.State == "ready" && exists(w.PID) {
			pids = append(pids, w.PID)
		}
	}
	return pids
}

// settle waits until there are as many ready workers as are wanted.
func (s *stickyd) settle(ctx context.Context) error {
	late := time.After(settleLimit)
	for {
		st, err := s.status()
		if err == nil && len(ready(st)) == s.wanted() {
			return nil
		}
		select {
		case <-late:
			return fmt.Errorf("%d workers were wanted after %v, and there is %+v, error %v", s.wanted(), settleLimit, st.Workers, err)
		case <-s.ended:
			return errors.New("stickyd has ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// command runs one of stickyd's commands and returns what it said.
func (s *stickyd) command(words ...string) (said string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), verbLimit)
	defer cancel()
	args := append([]string{words[0], "--control", s.control}, words[1:]...)
	out, err := exec.CommandContext(ctx, s.programs.stickyd[s.build], args...).CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("it had not ended after %v", verbLimit)
	}
	return strings.TrimSpace(string(out)), err
}

// stop ends stickyd and says whether it ended well.
func (s *stickyd) stop() error {
	select {
	case <-s.ended:
		return fmt.Errorf("stickyd had ended: %v", s.cmd.ProcessState)
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		s.cmd.Process.Kill() // its guardian ends the workers
		<-s.ended
		return fmt.Errorf("stickyd had not ended %v after SIGTERM", stopLimit)
	}
	if state := s.cmd.ProcessState; !state.Success() {
		return fmt.Errorf("stickyd: %v", state)
	}
	return nil
}
