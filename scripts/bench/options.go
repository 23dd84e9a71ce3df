package main

import (
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	rounds  int
	length  time.Duration
	rate    int
	busy    int // the rate for busy workers
	workers int
	node    bool
	before  string // the file of another stickyd
	quick   bool
	only    []string
	json    string
	svg     string
}

// defaultBusyRate is what workers keep up with whose event loops are blocked.
const defaultBusyRate = 500

// parseOptions checks the flags. known are the words that --only takes.
func parseOptions(args, known []string) (o options, err error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := set.String("only", "", "loads and fronts, with commas between: `LIST` of "+strings.Join(known, ", "))
	set.IntVar(&o.rounds, "rounds", 5, "alternating rounds, 1 to 100")
	set.DurationVar(&o.length, "time", 2*time.Second, "length of a round of each load, 100ms to 1m")
	set.IntVar(&o.rate, "rate", 2000, "requests per second of the steady loads, 1 to 100000 (500 with busy workers, unless given)")
	set.IntVar(&o.workers, "workers", 2, "worker processes, 2 to 64")
	set.BoolVar(&o.node, "node", false, "Node workers: stickyd beside a Node primary")
	set.StringVar(&o.before, "before", "", "with -node: the binary `FILE` of another stickyd, such as the last release, that takes turns with this one")
	set.BoolVar(&o.quick, "quick", false, "two short rounds and fewer idle connections and sessions: to see that it works")
	set.StringVar(&o.json, "json", "", "write all that was measured to `FILE`")
	set.StringVar(&o.svg, "svg", "", "draw the front's CPU for a new connection to `FILE`")
	var usage strings.Builder
	set.SetOutput(&usage)
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, helpWanted(usage.String())
	case err != nil:
		return o, fmt.Errorf("%w (--help lists all flags)", err)
	}
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.quick && !given["rounds"] {
		o.rounds = 2
	}
	if o.quick && !given["time"] {
		o.length = 300 * time.Millisecond
	}
	if o.busy = defaultBusyRate; given["rate"] {
		o.busy = o.rate
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.check(set.Args(), known)
}

func (o options) check(rest, known []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.rounds < 1 || o.rounds > 100:
		return errors.New("--rounds must be 1 to 100")
	case o.length < 100*time.Millisecond || o.length > time.Minute:
		return errors.New("--time must be 100ms to 1m")
	case o.rate < 1 || o.rate > 100_000:
		return errors.New("--rate must be 1 to 100000")
	case o.workers < 2 || o.workers > 64:
		return errors.New("--workers must be 2 to 64: with one there is no wrong worker")
	}
	if o.before != "" {
		if !o.node {
			return errors.New("--before is for --node")
		}
		if _, err := exec.LookPath(o.before); err != nil {
			return fmt.Errorf("--before: %w", err)
		}
	}
	for _, word := range o.only {
		if !slices.Contains(known, word) {
			return fmt.Errorf("--only knows no %q, but %s", word, strings.Join(known, ", "))
		}
	}
	return nil
}

// wants says whether --only lets a load or a front through. others are all
// words of its kind: if none of them is given, all are wanted.
func (o options) wants(word string, others []string) bool {
	given := slices.ContainsFunc(o.only, func(w string) bool { return slices.Contains(others, w) })
	return !given || slices.Contains(o.only, word)
}

// helpWanted is the error that is none: the text that was asked for.
type helpWanted string

func (h helpWanted) Error() string { return string(h) }
