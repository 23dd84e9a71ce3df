//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The disturbances: of stickyd, one at a time, and of workers, which may come
// while one of stickyd is under way.
var (
	ofStickyd = []string{"restart", "cancel", "scale", "reload", "upgrade", "bad"}
	ofWorkers = []string{"kill", "stop", "pause"}
	kinds     = slices.Concat(ofStickyd, ofWorkers)
)

func chosen(from, only []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(kind string) bool { return !slices.Contains(only, kind) })
}

// disturb disturbs s for the time that the options say, or until ctx is done.
func disturb(ctx context.Context, o options, s *stickyd, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	for _, kind := range chosen(kinds, o.only) { // in turn
		if ctx.Err() == nil {
			s.once(ctx, kind, random)
		}
	}
	var both sync.WaitGroup
	for _, some := range [][]string{chosen(ofStickyd, o.only), chosen(ofWorkers, o.only)} {
		random := rand.New(rand.NewPCG(random.Uint64(), 0)) // each its own
		both.Go(func() {
			for len(some) > 0 && wait(ctx, time.Duration(random.Int64N(int64(3*time.Second)))) {
				s.once(ctx, some[random.IntN(len(some))], random)
			}
		})
	}
	both.Wait()
	<-ctx.Done()
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// once does one thing and waits until all workers are there again.
func (s *stickyd) once(ctx context.Context, kind string, random *rand.Rand) {
	s.judge.figures.add("disturbances: " + kind)
	began := time.Now()
	var err error
	switch kind {
	case "restart":
		err = s.expect(true, "restart")
	case "cancel":
		err = s.cancel(random)
	case "scale":
		err = s.scale(random)
	case "reload":
		s.drain = time.Duration(4+random.IntN(3)) * time.Second
		if err = s.configure(); err == nil {
			err = s.expect(true, "reload")
		}
	case "upgrade":
		err = s.upgrade()
	case "bad":
		path := s.bad[random.IntN(len(s.bad))]
		fmt.Println("upgrade to", filepath.Base(path))
		err = s.expect(false, "upgrade", path)
	default:
		err = s.signal(kind, random)
	}
	if errors.Is(err, errFoiled) {
		err = nil
	}
	if err == nil && ctx.Err() == nil {
		err = s.settle(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.judge.finds("%s: %v", kind, err)
	}
	fmt.Printf("%s %s took %v\n", began.Format(time.TimeOnly), kind, time.Since(began).Round(time.Millisecond))
}

// errFoiled is of a command that did not reach its end, and not by its own fault.
var errFoiled = errors.New("foiled by what was done to the workers")

// expect runs a command that is to end well, or not. One that waits for workers
// may be foiled by what is done to them at the same time.
func (s *stickyd) expect(well bool, words ...string) error {
	began := time.Now()
	said, err := s.command(words...)
	switch {
	case err == nil && !well:
		return fmt.Errorf("%v ended well, and said: %s", words, said)
	case err != nil && (words[0] == "restart" || words[0] == "scale") && s.judge.disturbed(began):
		s.judge.figures.add("commands foiled by a disturbance of workers: " + words[0])
		fmt.Printf("%v was foiled: %s\n", words, said)
		return errFoiled
	case err != nil && well:
		return fmt.Errorf("%v: %w: %s", words, err, said)
	}
	return nil
}

// cancel begins a rolling restart and ends it somewhere on its way. What it has
// replaced by then stays so.
func (s *stickyd) cancel(random *rand.Rand) error {
	ended := make(chan error, 1)
	go func() { ended <- s.expect(true, "restart") }()
	time.Sleep(time.Duration(random.Int64N(int64(6 * time.Second))))
	err := s.expect(true, "cancel")
	restartErr := <-ended
	switch {
	case errors.Is(restartErr, errFoiled):
		return err
	case restartErr != nil && strings.Contains(restartErr.Error(), "cancelled by stickyd cancel"):
		s.judge.figures.add("rolling restarts that were cancelled")
		return err
	}
	return errors.Join(err, restartErr)
}

// scale wants one to three more or fewer, and writes that down as well: a reload
// is not to undo it.
func (s *stickyd) scale(random *rand.Rand) error {
	const least, most = 2, 8
	was := s.wanted()
	n := min(max(was+1+random.IntN(3), least), most)
	if was == most || was > least && random.IntN(2) == 0 {
		n = max(was-1-random.IntN(3), least)
	}
	s.want(n)
	err := errors.Join(s.configure(), s.expect(true, "scale", strconv.Itoa(n)))
	if err != nil { // then there are as many as before
		s.want(was)
		err = errors.Join(err, s.configure())
	}
	return err
}

// upgrade changes to the other build, and expects the same process to run it.
func (s *stickyd) upgrade() error {
	next := 1 - s.build
	if err := s.expect(true, "upgrade", s.programs.stickyd[next]); err != nil {
		return err
	}
	running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid))
	if err != nil {
		return err
	}
	if running == s.programs.stickyd[next] {
		s.build = next
		return nil
	}
	return fmt.Errorf("after an upgrade to %s process %d runs %s", s.programs.stickyd[next], s.cmd.Process.Pid, running)
}

// signal does something to a ready worker.
func (s *stickyd) signal(kind string, random *rand.Rand) error {
	st, err := s.status()
	pids := ready(st)
	if err != nil || len(pids) == 0 {
		return nil // another program is about to take over; another time, then
	}
	pid := pids[random.IntN(len(pids))]
	s.judge.does(pid, kind)
	sig := syscall.SIGSTOP
	if kind == "kill" {
		sig = syscall.SIGKILL
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	if kind == "pause" {
		time.Sleep(hangTimeout / 4)
		return syscall.Kill(pid, syscall.SIGCONT)
	}
	for late := time.Now().Add(settleLimit); exists(pid); time.Sleep(lookEvery) {
		if time.Now().After(late) {
			return fmt.Errorf("process %d got %v, and is there after %v", pid, sig, settleLimit)
		}
	}
	s.judge.gone(pid)
	return nil
}
