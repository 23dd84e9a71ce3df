package config

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/stickyd/stickyd/supervisor/exact"
)

// DefaultListen is where clients connect if nothing else was said.
const DefaultListen = ":3000"

// Config holds one checked value for every option. Nothing in it is shared: the
// caller may change it.
type Config struct {
	// Listen is where clients connect, at least one address: host:port, :port
	// or [::1]:port with a port from 0 (the kernel chooses) to 65535, or
	// unix:PATH with a path of 1 to 107 bytes.
	Listen []string

	// ListenByDefault says that nobody has chosen Listen.
	ListenByDefault bool

	// Workers is how many copies of Command run, 1 to 1024. "auto" has already
	// become the number of CPUs that this process may use.
	Workers int

	// Balance is how a connection without a live session finds its worker:
	// "least-connection", "round-robin", "random", "client-address" or
	// "forwarded-for".
	Balance string

	// Session says where a request carries its session id, in the order in
	// which to look: query:NAME, header:NAME, cookie:NAME or path:/PATTERN; or
	// it is the single word none. Only the word before the colon is checked.
	Session []string

	// TrustedProxies are passed over in X-Forwarded-For: the client is the
	// right-most address that is none of them. IPv4 ranges are in IPv4 form,
	// so unmap an address before looking it up.
	TrustedProxies []netip.Prefix

	// Protocol is what workers speak on their control descriptor: "native",
	// "node", or "auto": what they say first decides.
	Protocol string

	// Serialization is how messages of Node workers are written: "advanced" or
	// "json".
	Serialization string

	// NodePreload says whether Node workers load the preload of the npm package
	// stickyd first: "auto", unless that keeps them from starting, "on" or "off".
	NodePreload string

	// WaitReady says that a Node worker is ready only when its application has
	// said process.send('ready').
	WaitReady bool

	// Window is how many connections a worker may hold that its application
	// has not yet accepted, 1 to 250.
	Window int

	// HeadTimeout bounds the time from accept until as much of the request has
	// come as tells its session: its first line, or its whole head where Session
	// or Balance look into it. 100ms to 10m.
	HeadTimeout time.Duration

	// HeadBytes is the longest request head, in bytes, 1024 to 65536.
	HeadBytes int

	// ParkTimeout is how long a request waits for the registration of its
	// session where workers may register late, 0 to 10s.
	ParkTimeout time.Duration

	// QueueTimeout is how long a connection may wait for a worker that can
	// take it, 0 to 10m; after that it gets 503.
	QueueTimeout time.Duration

	// MaxWaiting is how many connections may exist that no worker has been
	// given yet (slow heads, waiting for a worker), 16 to 1000000.
	MaxWaiting int

	// Poller is how clients and workers are waited for: "runtime", with Go's
	// own poller, or "auto", with what is best on this system.
	Poller string

	// User and Group are what workers run as, by name or number: "" for
	// stickyd's own user, and for the user's own group.
	User, Group string

	// WorkerNoFile is the limit of open files of a worker, 64 to 1048576; 0 for
	// the limits that stickyd was started with.
	WorkerNoFile int

	// WorkerNice is added to stickyd's niceness, -20 to 19.
	WorkerNice int

	// WorkerMemory is how much memory a worker may use, in bytes, 16 MiB to
	// 16 TiB; 0 for no limit.
	WorkerMemory int64

	// StartTimeout bounds the time from exec to a worker's being ready, 100ms
	// to 1h.
	StartTimeout time.Duration

	// HangTimeout is the age of the oldest connection that a worker has not
	// taken at which the worker counts as hung: 100ms to 1h, or 0 for never.
	HangTimeout time.Duration

	// DumpSignal is sent to a hung worker before it is killed, so that it
	// shows its stacks: "QUIT", "ABRT", "USR1", "USR2", or "" for no signal.
	DumpSignal string

	// DumpGrace is the time between DumpSignal and SIGKILL, 0 to 1m.
	DumpGrace time.Duration

	// DrainTimeout is how long open requests may go on after stickyd was
	// asked to stop, 0 to 24h.
	DrainTimeout time.Duration

	// StopTimeout is the time between SIGTERM and SIGKILL, 0 to 1h.
	StopTimeout time.Duration

	// RecycleAge, RecycleConnections and RecycleMemory say when a worker has had
	// enough, and is replaced: 0 for never, or an age of 1m to 8760h, 1 to
	// 1000000000 connections that it was handed, 16 MiB to 16 TiB of resident
	// memory, in bytes.
	RecycleAge         time.Duration
	RecycleConnections int
	RecycleMemory      int64

	// Watch are files and directories: when something in them changes there is a
	// rolling restart. None is valid.
	Watch []string

	// MinReady is how long a worker that replaces another must have been ready
	// before the other drains, 0 to 1h.
	MinReady time.Duration

	// Parallel is how many workers a rolling restart replaces at a time, 1 to
	// 1024.
	Parallel int

	// MaxUnready is how many of the new workers may crash while a rolling restart
	// goes on without stopping it, 0 to 1024.
	MaxUnready int

	// MaxDraining is how many old workers may drain beside the one that has their
	// place, 1 to 1024.
	MaxDraining int

	// OnCrashLoop says what to do when no worker ever gets ready: "exit" or
	// "keep" trying.
	OnCrashLoop string

	// Control is the path of the control socket, which has a slash in it; or
	// "auto", for one in a directory of the user's, or "off".
	Control string

	// Metrics are where Prometheus is answered, written as Listen; none is
	// valid.
	Metrics []string

	// Env is what the workers get beside stickyd's own environment, as
	// NAME=VALUE, each name once and sorted by name. No name is empty or
	// starts with STICKYD_.
	Env exact.Strings

	// Command is the worker's argv; the first word is not empty.
	Command exact.Strings

	// LogFormat is "text", "json" or "auto": text on a terminal, otherwise
	// JSON.
	LogFormat string

	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string

	// File is the path of the file that was read, "" for none.
	File string
}

// Asked is what the command line asks for beside values.
type Asked struct {
	Check   bool // say whether flags and file are valid, then exit
	Help    bool // print Usage(All), then exit
	All     bool // with Help: every option, not only the common ones
	Version bool // print the version, then exit
}

// Error is everything that is wrong with the flags and the file, the file's
// problems first. It is bad usage: the program ends with status 2.
type Error struct {
	Problems []error // at least one; each message is one line
}

// Error returns the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return e.Problems }

var errNoCommand = errors.New(
	"no command to run: write it behind --, as in stickyd -- ./myserver; or set command in the file")

// Load turns the arguments that follow the program's name, and the file that
// they may name with --config, into a Config. Every error is an *Error, and tells
// all problems at once; only a flag that does not exist ends the reading, since
// what follows it may be its value.
//
// Who asks for help or for the version gets it whatever else is wrong or
// missing: then Config and error are nil, and no file is read.
func Load(args []string) (*Config, Asked, error) {
	flags, flagErr := fromFlags(args)
	var line loaded
	line.apply(flags) // problems are collected below, behind the file's
	if line.Help || line.Version {
		return nil, line.Asked, nil
	}
	if flagErr != nil {
		return nil, line.Asked, &Error{[]error{flagErr}}
	}

	all := defaults()
	all.ListenByDefault = !sets(flags, "listen")
	var problems []error
	if line.File != "" {
		file, err := fromFile(line.File)
		if err != nil {
			problems = append(problems, err)
		}
		all.ListenByDefault = all.ListenByDefault && !sets(file, "listen")
		problems = append(problems, all.apply(file)...)
	}
	problems = append(problems, all.apply(flags)...)
	if len(problems) == 0 && len(all.Command) == 0 {
		problems = append(problems, errNoCommand)
	}
	if len(problems) == 0 {
		if err := all.apart(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, line.Asked, &Error{problems}
	}
	return &all.Config, line.Asked, nil
}
