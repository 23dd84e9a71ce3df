//go:build linux

package main

import (
	"context"
	"os"
	"strconv"
)

// The fronts that need no file of their own.

// stickydFront is stickyd with Go workers.
func stickydFront(bin binaries, workers int) *front {
	return &front{key: "stickyd", name: "stickyd", app: goApp, launch: alone([]string{tellCollections},
		stickydArgs(bin, workers)...)}
}

func stickydArgs(bin binaries, workers int) []string {
	return append([]string{bin.stickyd, "-l", "127.0.0.1:0", "-n", strconv.Itoa(workers), "--log-format", "json",
		"--drain-timeout", "1s", "--"}, untold(os.Args[0], "play-stickyd-worker")...)
}

// loopFront is yardstick/loop.c.
func loopFront(bin binaries, workers int) *front {
	return &front{key: loopKey, name: "C loop", app: goApp, launch: alone(nil,
		bin.loop, strconv.Itoa(workers), os.Args[0], "play-link-worker")}
}

// deferringLoopFront is the same with TCP_DEFER_ACCEPT, which stickyd has.
func deferringLoopFront(bin binaries, workers int) *front {
	return &front{key: "c-loop-d", name: "C loop, deferred accept", app: goApp, loads: "new rate", launch: alone(nil,
		bin.loop, "-d", strconv.Itoa(workers), os.Args[0], "play-link-worker")}
}

// acceptorFront is plain.go.
func acceptorFront(workers int) *front {
	return &front{key: "go-acceptor", name: "plain Go acceptor", app: goApp, launch: alone([]string{tellCollections},
		os.Args[0], "play-plain-front", strconv.Itoa(workers))}
}

// noFront is the workers themselves: each client knows where its session is.
func noFront(workers int) *front {
	return &front{key: noFrontKey, name: "no front", app: goApp, loads: "kept ws64 ws16k",
		launch: func(ctx context.Context, f *front) ([]string, error) { return f.startListeners(ctx, workers) }}
}

// startListeners starts workers that listen themselves.
func (f *front) startListeners(ctx context.Context, n int) (addrs []string, err error) {
	for range n {
		p, err := startProcess(nil, os.Args[0], "play-listening-worker")
		if err != nil {
			return nil, err
		}
		f.workers = append(f.workers, p)
		addr, err := p.awaitListening(ctx)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
