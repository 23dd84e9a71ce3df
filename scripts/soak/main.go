//go:build linux

// Command soak disturbs a stickyd under load, and judges each error that a
// client sees:
//
//	go run ./scripts/soak [--for 10m] [--seed N] [--workers N] [--only WORDS]
//
// It builds stickyd and the Socket.IO server of examples/go-socketio, and plays
// the clients: plain requests on new and on kept-alive connections, and
// Socket.IO sessions by polling and by WebSocket, of which polling ones share
// kept-alive connections. Each session counts, and its server counts as well.
//
// The disturbances come one after the other first, and then at random, those of
// workers at the same time as those of stickyd:
//
//	restart    rolling restart
//	cancel     a rolling restart that is cancelled on its way
//	scale      up or down
//	reload     of a changed configuration
//	upgrade    to another build of stickyd, in place
//	bad        an upgrade to what can't be one
//	kill       SIGKILL to a worker
//	stop       SIGSTOP to a worker, until stickyd kills it
//	pause      SIGSTOP to a worker, and SIGCONT soon
//
// No connection may be refused. A session may end with its own worker only: one
// that was killed or stopped here, or that drained until its deadline. A
// connection may be reset only where the worker that had it was killed. No
// request of a live session may come to another worker. Whatever else happens is
// a finding: it is printed, and the exit status is 1. The seed that is printed
// makes the same disturbances; when they meet which request is up to the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	length  time.Duration
	seed    uint64
	workers int
	clients int
	only    []string
}

func main() {
	var o options
	var only string
	flag.DurationVar(&o.length, "for", 10*time.Minute, "how long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of what happens when")
	flag.IntVar(&o.workers, "workers", 4, "how many")
	flag.IntVar(&o.clients, "clients", 15, "how many of each kind")
	flag.StringVar(&only, "only", strings.Join(kinds, ","), "disturbances")
	flag.Parse()
	o.only = strings.Split(only, ",")
	for _, word := range o.only {
		if !slices.Contains(kinds, word) {
			fmt.Fprintf(os.Stderr, "soak: there is no disturbance %q; there are %s\n", word, strings.Join(kinds, ", "))
			os.Exit(2)
		}
	}
	if err := soak(o); err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v (--seed %d)\n", err, o.seed)
		os.Exit(1)
	}
}

// soak runs it all. Whatever it started has ended when it returns.
func soak(o options) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	dir, err := os.MkdirTemp("", "stickyd-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("seed %d, %v, in %s\n", o.seed, o.length, filepath.Base(dir))
	programs, err := buildAll(dir)
	if err != nil {
		return err
	}
	j := newJudge()
	s, err := startStickyd(dir, programs, o.workers, j)
	if err != nil {
		return err
	}
	if err = s.settle(ctx); err == nil {
		go func() { <-s.ended; cancel() }() // too early: all that follows would be refused
		load := startLoad(s.addr, j, o)
		disturb(ctx, o, s, rand.New(rand.NewPCG(o.seed, 0)))
		load.stop()
	}
	if stopErr := s.stop(); err == nil {
		err = stopErr
	}
	j.figures.write(os.Stdout)
	if err == nil {
		err = j.verdict()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "stickyd's last lines:\n%s\n", s.lastLines())
	}
	return err
}
