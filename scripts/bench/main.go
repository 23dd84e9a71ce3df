//go:build linux

// Command bench measures what stickyd costs, beside its peers:
//
//	go run ./scripts/bench
//
// or, with Node workers, beside Node's own primary with @socket.io/sticky:
//
//	go run ./scripts/bench --node
//
// It installs what it needs (HAProxy and nginx with apt, as root; packages from
// npm), needs a C compiler, and takes about ten minutes, with --quick one.
//
// Generator, front and workers share the machine, so rates mean little. What
// counts is the CPU time that the front alone uses for each request, read from
// /proc, and its ratio to another front's in the same run: rounds of all
// alternate, and the medians are printed. yardstick/loop.c is what a front
// costs that does nothing but what must be done.
//
// The fronts, by the words that --only knows:
//
//	stickyd      with Go workers, as all up to none
//	c-loop       yardstick/loop.c: the plainest front
//	c-loop-d     the same with TCP_DEFER_ACCEPT, which stickyd has
//	go-acceptor  the obvious way to write one in Go (plain.go)
//	nginx        a proxy that finds the worker by a hash of the id
//	haproxy      a proxy that learns from responses where a session is
//	haproxy-untuned  the same without what its experts would add
//	none         workers that listen themselves
//	node-VERSION     Node's primary with a version of @socket.io/sticky
//	stickyd-VERSION  stickyd with the same workers, with --node
//	off-VERSION      the same without the preload
//	before-VERSION   another build of stickyd, with --before
//
// The loads:
//
//	new        a connection for each request of a known session, as many as go
//	crowd      with --node: the same, from 1,024 clients at a time
//	rate       the same at a rate; latencies count from when a request was due
//	kept       kept-alive connections, each for one session
//	mixed      kept-alive connections, each for sessions of different workers
//	ws64       WebSocket messages of 64 bytes that come back
//	ws16k      of 16 KiB
//	handshake  a handshake, and at once a request with the id that it gave
//	busy       with --node: a rate, and event loops that are blocked for 2 ms
//	idle       5,000 connections on which nothing happens: memory, descriptors
//	million    1,000,000 sessions: stickyd's memory, and what clients notice
//	stopped    a worker of stickyd that is stopped: the others' clients
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// plays are the processes that this program is as well.
var plays = map[string]func(args []string){
	"play-stickyd-worker":   func([]string) { stickydWorker() },
	"play-link-worker":      func([]string) { linkWorker() },
	"play-listening-worker": func([]string) { listeningWorker() },
	"play-plain-front":      plainFront,
	"play-generator":        func([]string) { playGenerator() },
}

func main() {
	if len(os.Args) > 1 {
		if play := plays[os.Args[1]]; play != nil {
			play(os.Args[2:])
			return
		}
	}
	runtime.LockOSThread() // our children get SIGTERM when the thread ends that started them
	o, err := parseOptions(os.Args[1:], knownWords())
	if help, ok := err.(helpWanted); ok {
		fmt.Print(help)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := bench(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var errInterrupted = errors.New("interrupted")

// bench runs it all. Whatever it started has ended when it returns.
func bench(o options) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errInterrupted)
	}()
	if err := errors.Join(raiseLimit(), o.writable()); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stickyd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	scratch = dir
	p := newPlan(o, dir)
	if len(p.fronts()) == 0 && !p.wantsSingle("million") && !p.wantsSingle("stopped") {
		return errors.New("nothing is left to measure; see --only, and that the fronts with Node workers come with --node")
	}
	if err := p.install(ctx); err != nil {
		return err
	}
	r := &results{Rounds: o.rounds, Seconds: o.length.Seconds(), Workers: o.workers, Versions: versions(ctx)}
	if err := p.run(ctx, r); err != nil {
		return err
	}
	return p.publish(r)
}
