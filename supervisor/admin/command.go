package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/stickyd/stickyd/supervisor/cli"
	"github.com/stickyd/stickyd/supervisor/terminal"
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
	args string // as the usage has them; "": there are none
	help string // a sentence without its full stop
	more string // further sentences, in lines; "" for none
	own  func(*flag.FlagSet, *call)
	take func(*call, []string) error // arguments, and what flags go together; nil: there are none
	run  func(context.Context, *call) error
}

// verbs: nouns look, and the others change something.
var verbs = []verb{
	{"status", "", "show the workers of a running stickyd", moreStatus, statusFlags, takeStatus, status},
	{"logs", "[SLOT]", "show what workers, or one, printed last", moreLogs, logsFlags, takeSlotOrNone, showLogs},
	{"events", "", "show what stickyd logged last, from level info on", moreLogs, eventsFlags, nil, showEvents},
	{"explain", "SID", "show where a session is, or was", moreExplain, jsonFlag, takeID, explain},
	{"restart", "[SLOT...]", "restart all workers, or some, a few at a time", moreRestart, restartFlags, takeSlots, restart},
	{"scale", "N|+N|-N", "have N workers, or N more or fewer", moreScale, nil, takeScale, scale},
	{"drain", "SLOT", "let a worker end when its sessions have ended", moreDrain, nil, takeSlot, drain},
	{"reload", "", "read the configuration again", moreReload, nil, nil, reload},
	{"upgrade", "[BINARY]", "let another binary take over in place", moreUpgrade, nil, takeBinary, upgrade},
	{"cancel", "", "end a restart, scaling, reload or upgrade that is under way", moreCancel, nil, nil, cancel},
	{"stop", "", "stop a running stickyd, gracefully, and wait until it has ended", "", nil, nil, stop},
}

const (
	notWaiting = "^C ends the waiting, not the operation; stickyd status shows it.\n"
	cancelling = "^C ends the waiting, not the operation: stickyd status shows it, and stickyd\n" +
		"cancel ends it.\n"

	moreStatus = "The exit status is 1 where no stickyd answers and, with --ready, which is for\n" +
		"health checks, where no worker is ready.\n"

	moreLogs = "With -f it goes on when another binary takes over, and ends with stickyd. With\n" +
		"--json it prints the same lines as the log does with --log-format json.\n"

	moreExplain = "With - for SID the id is read from standard input, which keeps it out of the\n" +
		"shell's history and the list of processes. Write -- before an id that begins\n" +
		"with -.\n"
	moreRestart = "Each slot gets a new worker first, which has to stay ready for --min-ready. Then\n" +
		"the old one gets no new sessions and ends when its own have ended, or after\n" +
		"--drain-timeout. A new worker that crashes before all old ones are gone stops\n" +
		"the restart.\n" + cancelling
	moreScale = "Surplus workers drain. The number holds until another scale, or a reload in\n" +
		"which workers has changed.\n" + cancelling
	moreDrain  = "The worker gets no new sessions. Its slot stays empty until it is restarted.\n" + notWaiting
	moreReload = "Options that cannot change while stickyd runs are named, and keep their values.\n" + cancelling

	moreUpgrade = "Process, workers, connections and sessions stay. Without BINARY the one that\n" +
		"runs is taken, as it is on disk now. The configuration is read again, too, with\n" +
		"a rolling restart if it needs one.\n" + cancelling

	moreCancel = "Workers already replaced stay; the one being tried is stopped, or drains if it\n" +
		"has sessions; no more are replaced. A scale up is taken back. An upgrade can be\n" +
		"cancelled while the other binary is checked. It waits until the operation has\n" +
		"ended and says how. Where nothing is under way it says so, and that is no error.\n"
)

// IsVerb reports whether a word is one of the commands.
func IsVerb(word string) bool {
	return slices.ContainsFunc(verbs, func(v verb) bool { return v.name == word })
}

// A call is one use of a command.
type call struct {
	control string
	json    bool
	watch   bool
	time    bool
	ready   bool
	history historyRequest
	restart RestartOptions
	scale   Scale
	slot    int
	binary  string
	id      string

	client    *client
	in        io.Reader
	out, errs io.Writer // where these are terminals, what is written is made visible
	screen    *os.File  // out, if that is a terminal
}

func newCall(in io.Reader, out, errs io.Writer) *call {
	c := &call{in: in, out: terminal.Writer(out), errs: terminal.Writer(errs)}
	if f, ok := out.(*os.File); ok && terminal.Is(f) {
		c.screen = f
	}
	return c
}

// Command does what args, which begin with a verb, ask for and returns the exit
// status.
func Command(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return perform(ctx, args, os.Stdin, out, errs)
}

func perform(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	v := verbs[slices.IndexFunc(verbs, func(v verb) bool { return v.name == args[0] })]
	c := newCall(in, out, errs)
	flags := v.flags(c)
	given, err := parse(flags, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		v.usage(out, flags)
		return exitDone
	case err == nil && v.args == "" && len(given) > 0:
		err = fmt.Errorf("%s takes no argument: %s", v.name, given[0])
	case err == nil && v.take != nil:
		err = v.take(c, given)
	}
	if err != nil {
		fmt.Fprintf(c.errs, "stickyd: %v\nstickyd %s --help shows how to use it\n", err, v.name)
		return exitUsage
	}
	if err := c.run(ctx, v); err != nil {
		fmt.Fprintln(c.errs, "stickyd:", err)
		return exitFailed
	}
	return exitDone
}

func (v *verb) flags(c *call) *flag.FlagSet {
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // we say it in our own words
	flags.StringVar(&c.control, "control", "", "`SOCKET` of the stickyd that is meant, its port or its\n"+
		"pid, in this order; needed where several run")
	if v.own != nil {
		v.own(flags, c)
	}
	return flags
}

var negative = regexp.MustCompile(`^-\d+$`).MatchString

// parse returns the arguments among flags. These may come in any order, and a
// number is never a flag, which package flag would have otherwise.
func parse(flags *flag.FlagSet, args []string) (given []string, err error) {
	args = cli.Spread(flags, args, true)
	for len(args) > 0 {
		switch word := args[0]; {
		case word == "--":
			return append(given, args[1:]...), nil
		case !strings.HasPrefix(word, "-"), word == "-", negative(word):
			given, args = append(given, word), args[1:]
			continue
		}
		end := 1
		for end < len(args) && args[end] != "--" && (!negative(args[end]) || cli.TakesValue(flags, args[end-1])) {
			end++
		}
		if err := flags.Parse(args[:end]); err != nil {
			return nil, explainFlag(err, flags, args[:end])
		}
		args = append(slices.Clone(flags.Args()), args[end:]...)
	}
	return given, nil
}

func (v *verb) usage(to io.Writer, flags *flag.FlagSet) {
	words := strings.TrimSpace(v.name + " [flags] " + v.args)
	fmt.Fprintf(to, "Usage: stickyd %s\n\n%s%s.\n%s\n", words, strings.ToUpper(v.help[:1]), v.help[1:], v.more)
	flags.VisitAll(func(f *flag.Flag) {
		arg, help := flag.UnquoteUsage(f)
		name := label(f)
		if name == "" {
			return
		}
		const column = 21
		help = strings.ReplaceAll(help, "\n", "\n"+strings.Repeat(" ", column))
		fmt.Fprintf(to, "  %-*s%s\n", column-2, name+" "+arg, help)
	})
	fmt.Fprint(to, "\nExit status: 0 done, 1 failed, 2 bad usage.\n")
}

func (c *call) run(ctx context.Context, v verb) error {
	path, err := find(c.control)
	if err != nil {
		return err
	}
	c.client = newClient(path)
	return v.run(ctx, c)
}
