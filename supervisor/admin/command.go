package admin

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// Exit statuses of commands.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// A verb is a command that talks to a running stickyd.
type verb struct {
	name string
	help string // a sentence without its full stop
	own  func(*flag.FlagSet, *call)
	run  func(context.Context, *call) error
}

var verbs = []verb{
	{"status", "show the workers of a running stickyd", statusFlags, status},
	{"stop", "stop a running stickyd, gracefully, and wait until it has ended", nil, stop},
}

// IsVerb reports whether a word is one of the commands.
func IsVerb(word string) bool {
	return slices.ContainsFunc(verbs, func(v verb) bool { return v.name == word })
}

// A call is one use of a command.
type call struct {
	control string
	json    bool
	watch   bool

	client *client
	out    io.Writer
}

// Command does what args, which begin with a verb, ask for and returns the exit
// status.
func Command(args []string, out, errs io.Writer) int {
	v := verbs[slices.IndexFunc(verbs, func(v verb) bool { return v.name == args[0] })]
	c := &call{out: out}
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // we say it in our own words
	flags.StringVar(&c.control, "control", "", "`SOCKET` of the stickyd that is meant, or its port; needed where several run")
	if v.own != nil {
		v.own(flags, c)
	}
	err := flags.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		v.usage(out, flags)
		return exitDone
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%s takes no argument: %s", v.name, flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(errs, "stickyd: %v\nstickyd %s --help shows how to use it\n", err, v.name)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx, v); err != nil {
		fmt.Fprintln(errs, "stickyd:", err)
		return exitFailed
	}
	return exitDone
}

func (v *verb) usage(to io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(to, "Usage: stickyd %s [flags]\n\n%s%s.\n\n", v.name, string(v.help[0]-'a'+'A'), v.help[1:])
	flags.VisitAll(func(f *flag.Flag) {
		arg, help := flag.UnquoteUsage(f)
		fmt.Fprintf(to, "  %-18s %s\n", "--"+f.Name+" "+arg, help)
	})
	fmt.Fprint(to, "\nExit status: 0 done, 1 not reached, 2 bad usage.\n")
}

func (c *call) run(ctx context.Context, v verb) error {
	path, err := find(c.control)
	if err != nil {
		return err
	}
	c.client = newClient(path)
	return v.run(ctx, c)
}

func statusFlags(flags *flag.FlagSet, c *call) {
	flags.BoolVar(&c.json, "json", false, "print it as JSON, for programs")
	flags.BoolVar(&c.watch, "watch", false, "print it again each second, until ^C")
}

const (
	watchPause = time.Second
	clearAll   = "\x1b[H\x1b[J" // ECMA-48: CUP, ED
)

func status(ctx context.Context, c *call) error {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	for first := true; ; first = false {
		s, err := c.client.status(ctx)
		if c.watch && ctx.Err() != nil {
			return nil // ^C
		}
		if err != nil {
			return err
		}
		if f, ok := c.out.(*os.File); ok && c.watch && logs.IsTerminal(f) {
			io.WriteString(c.out, clearAll)
		} else if !first && !c.json {
			fmt.Fprintln(c.out)
		}
		if c.json {
			err = json.NewEncoder(c.out).Encode(s)
		} else {
			err = s.write(c.out, time.Now())
		}
		if err != nil || !c.watch {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func stop(ctx context.Context, c *call) error {
	return c.client.operate(ctx, "/v1/stop", func(line string) { fmt.Fprintln(c.out, line) })
}
