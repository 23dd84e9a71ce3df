// Command bench measures what stickyd costs for a new connection, beside a
// plain Go acceptor that hands off with a goroutine per connection:
//
//	go run ./scripts/bench
//
// or, with Node workers, beside Node's own primary with @socket.io/sticky:
//
//	go run ./scripts/bench -node
//
// Generator, front and workers share the machine, so rates mean little. What
// counts is the CPU time that the front alone uses per connection, read from
// /proc, and its ratio to another front's in the same run: rounds of all
// alternate, and the median of each is printed.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "play-stickyd-worker":
			stickydWorker()
			return
		case "play-plain-worker":
			plainWorker()
			return
		case "play-plain-front":
			plainFront(os.Args[2:])
			return
		}
	}
	rounds := flag.Int("rounds", 5, "alternating rounds")
	length := flag.Duration("time", 3*time.Second, "length of a round")
	rate := flag.Int("rate", 2000, "connections per second of the steady load")
	workers := flag.Int("workers", 2, "worker processes")
	node := flag.Bool("node", false, "Node workers, beside a Node primary")
	flag.Parse()
	if err := run(*rounds, *length, *rate, *workers, *node); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(rounds int, length time.Duration, rate, workers int, node bool) error {
	dir, err := os.MkdirTemp("", "stickyd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "stickyd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build stickyd (run this in its checkout): %w\n%s", err, out)
	}
	if node {
		return runNode(binary, rounds, length, workers)
	}
	return compare([]*front{
		{name: "stickyd", command: stickydCommand(binary, workers), app: goApp},
		{name: "plain Go acceptor", command: plainCommand(workers), app: goApp},
	}, []load{{name: "saturated"}, {name: fmt.Sprintf("%d/s", rate), rate: rate}}, rounds, length)
}

// compare measures fronts in turn and prints a table.
func compare(fronts []*front, loads []load, rounds int, length time.Duration) error {
	for _, f := range fronts {
		if err := f.start(); err != nil {
			return err
		}
		defer f.stop()
	}
	for round := range rounds {
		for _, l := range loads {
			for _, f := range fronts {
				m, err := f.measure(l, length)
				if err != nil {
					return fmt.Errorf("%s, %s, round %d: %w", f.name, l.name, round+1, err)
				}
				f.results = append(f.results, m)
				fmt.Fprintf(os.Stderr, "round %d: %-32s %-20s %6.0f/s, %5.1f µs of the front's CPU per request\n",
					round+1, f.name, l.name, m.perSecond, m.cpu)
			}
		}
	}
	report(fronts, loads)
	return nil
}

// report prints medians.
func report(fronts []*front, loads []load) {
	fmt.Printf("\n| load | front | requests/s | front's CPU, µs per request (spread) | with the workers' | p50, p90, p99 ms | wrong worker |\n|---|---|---|---|---|---|---|\n")
	for _, l := range loads {
		for _, f := range fronts {
			cpu, low, high := f.median(l, func(m measurement) float64 { return m.cpu })
			rate, _, _ := f.median(l, func(m measurement) float64 { return m.perSecond })
			all, _, _ := f.median(l, func(m measurement) float64 { return m.all })
			p50, _, _ := f.median(l, func(m measurement) float64 { return m.p50.Seconds() * 1e3 })
			p90, _, _ := f.median(l, func(m measurement) float64 { return m.p90.Seconds() * 1e3 })
			p99, _, _ := f.median(l, func(m measurement) float64 { return m.p99.Seconds() * 1e3 })
			fmt.Printf("| %s | %s | %.0f | %.1f (%.1f–%.1f) | %.0f | %.1f, %.1f, %.1f | %d |\n", l.name, f.name, rate, cpu, low, high, all, p50, p90, p99, f.wrong(l))
		}
	}
}
