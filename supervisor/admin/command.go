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
	{"logs", "[SLOT]", "show the last output of the workers, or of one", moreLogs, logsFlags, takeSlotOrNone, showLogs},
	{"events", "", "show stickyd's last log lines, from level info up", moreLogs, eventsFlags, nil, showEvents},
	{"explain", "SID", "show where a session is, or was", moreExplain, jsonFlag, takeID, explain},
	{"restart", "[SLOT...]", "restart all workers, or some, a few at a time", moreRestart, restartFlags, takeSlots, restart},
	{"scale", "N|+N|-N", "run N workers, or N more or fewer", moreScale, nil, takeScale, scale},
	{"drain", "SLOT", "let a worker end when its sessions have ended", moreDrain, nil, takeSlot, drain},
	{"reload", "", "read the configuration again", moreReload, nil, nil, reload},
	{"upgrade", "[BINARY]", "replace the running binary in place", moreUpgrade, nil, takeBinary, upgrade},
	{"cancel", "", "end the restart, scaling, reload or upgrade under way", moreCancel, nil, nil, cancel},
	{"stop", "", "stop a running stickyd, gracefully, and wait until it has ended", "", nil, nil, stop},
}

const (
	notWaiting = "^C stops the waiting; the operation goes on, as stickyd status shows.\n"
	cancelling = "^C stops the waiting; the operation goes on. stickyd status shows it, and\n" +
		"stickyd cancel ends it.\n"

	moreStatus = "The exit status is 1 if no stickyd answers. With --ready, which is for health\n" +
		"checks, it is 1 also if no worker is ready.\n"

	moreLogs = "With -f it follows across upgrades and ends when stickyd ends. With --json it\n" +
		"prints lines as --log-format json does.\n"

	moreExplain = "If SID is -, it reads the id from standard input, which keeps the id out of the\n" +
		"shell's history and the list of processes. Put -- before an id that begins\n" +
		"with -.\n"
	moreRestart = "Each slot gets a new worker first, which must stay ready for --min-ready. Then\n" +
		"the old one gets no new sessions; it ends after its last session, or after\n" +
		"--drain-timeout. If a new worker crashes before all old ones have ended, the\n" +
		"restart stops.\n" + cancelling
	moreScale = "Surplus workers drain. The number holds until the next scale, or until a reload\n" +
		"in which workers has changed.\n" + cancelling
	moreDrain  = "The worker gets no new sessions. Its slot stays empty until you restart it.\n" + notWaiting
	moreReload = "Options that cannot change while stickyd runs keep their values; reload names\n" +
		"them.\n" + cancelling

	moreUpgrade = "Process, workers, connections and sessions stay. Without BINARY, stickyd runs\n" +
		"its own file again, as it is on disk now. It also reads the configuration\n" +
		"again, and restarts the workers one by one if that needs it.\n" + cancelling

	moreCancel = "Workers already replaced stay; the one being tried is stopped, or drains if it\n" +
		"has sessions; no more are replaced. A scale-up is undone. An upgrade can be\n" +
		"cancelled while stickyd checks the other binary. cancel waits until the\n" +
		"operation has ended and says how. If nothing is under way, it says so and\n" +
		"exits with 0.\n"
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
	flags.StringVar(&c.control, "control", "", "`SOCKET` of the stickyd to talk to, or its port or pid,\n"+
		"tried in this order; needed if several run")
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
