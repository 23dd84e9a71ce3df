// Command bench measures what stickyd costs for a new connection, beside a
// plain Go acceptor that hands off with a goroutine per connection:
//
//	go run ./scripts/bench
//
// Generator, front and workers share the machine, so rates mean little. What
// counts is the CPU time that the front alone uses per connection, read from
// /proc, and its ratio to the other front's in the same run: rounds of both
// alternate, and the median of each is printed.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	flag.Parse()
	if err := run(*rounds, *length, *rate, *workers); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(rounds int, length time.Duration, rate, workers int) error {
	dir, err := os.MkdirTemp("", "stickyd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "stickyd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build stickyd (run this in its checkout): %w\n%s", err, out)
	}
	fronts := []*front{
		{name: "stickyd", command: stickydCommand(binary, workers)},
		{name: "plain Go acceptor", command: plainCommand(workers)},
	}
	for _, f := range fronts {
		if err := f.start(); err != nil {
			return err
		}
		defer f.stop()
	}
	loads := []load{{"saturated", 0}, {fmt.Sprintf("%d/s", rate), rate}}
	for round := range rounds {
		for _, l := range loads {
			for _, f := range fronts {
				m, err := f.measure(l, length)
				if err != nil {
					return fmt.Errorf("%s, round %d: %w", f.name, round+1, err)
				}
				f.results = append(f.results, m)
				fmt.Fprintf(os.Stderr, "round %d: %-18s %-10s %6.0f/s, %5.1f µs of the front's CPU per connection\n",
					round+1, f.name, l.name, m.perSecond, m.cpu)
			}
		}
	}
	report(fronts, loads)
	return nil
}

func report(fronts []*front, loads []load) {
	fmt.Printf("\n| load | front | hand-offs/s | CPU µs per connection (spread) | ratio |\n|---|---|---|---|---|\n")
	for _, l := range loads {
		base := 0.0
		for _, f := range slices.Backward(fronts) {
			if cpu, _, _, _ := f.median(l); base == 0 {
				base = cpu
			}
		}
		for _, f := range fronts {
			cpu, low, high, rate := f.median(l)
			fmt.Printf("| %s | %s | %.0f | %.1f (%.1f–%.1f) | %.2f |\n", l.name, f.name, rate, cpu, low, high, cpu/base)
		}
	}
}
