package config

import (
	"net/netip"
	"strings"
	"time"
)

// An option is one thing that can be set: a row of the table.
type option struct {
	name    string // of the flag; the key in the file has _ for -
	short   string // one-letter flag, "" for none
	arg     string // what help calls the value, "" for a flag without one
	def     string // default as a flag would give it, "" for none
	example string // a value to show where there is no default
	place   place
	common  bool // in the help of one screen
	test    bool // only for tests: neither in the help nor in the reference
	effect  Effect
	help    string
	kind    kind
}

// key returns the option's name in the file.
func (o *option) key() string { return strings.ReplaceAll(o.name, "-", "_") }

// place says where an option may be set.
type place int

const (
	everywhere place = iota
	flagOnly
	fileOnly
)

// loaded is what options are stored in.
type loaded struct {
	Config
	Asked
}

// options is the table, in the order of the help. How a value is written and
// checked stands in kinds.go and rules.go.
var options = []option{
	{
		name: "listen", short: "l", arg: "ADDR", def: DefaultListen, common: true,
		effect: Listened,
		help:   "accept clients on ADDR; repeatable",
		kind:   many(address(), func(l *loaded) *[]string { return &l.Listen }, places),
	},
	{
		name: "workers", short: "n", arg: "N", def: "auto", common: true,
		effect: Scaled,
		help:   "copies to run; auto: one per CPU",
		kind:   one(orAuto(number(1, 1024)), func(l *loaded) *int { return &l.Workers }),
	},
	{
		name: "balance", short: "b", arg: "HOW", def: "least-connection", common: true,
		help: "how to choose a worker",
		kind: one(choice("least-connection", "round-robin", "random", "client-address", "forwarded-for"),
			func(l *loaded) *string { return &l.Balance }),
	},
	{
		name: "session", arg: "SOURCE", def: "query:sid", common: true,
		effect: Replaced,
		help:   "place of session ids; repeatable",
		kind:   many(session(), func(l *loaded) *[]string { return &l.Session }, noneAlone),
	},
	{
		name: "trusted-proxy", arg: "NET", example: "10.0.0.0/8",
		help: "proxy to skip in X-Forwarded-For; repeatable",
		kind: many(network(), func(l *loaded) *[]netip.Prefix { return &l.TrustedProxies }, nil),
	},
	{
		name: "protocol", arg: "NAME", def: "auto",
		effect: Replaced,
		help:   "protocol of the workers",
		kind:   one(choice("auto", "native", "node"), func(l *loaded) *string { return &l.Protocol }),
	},
	{
		name: "serialization", arg: "HOW", def: "advanced",
		effect: Replaced,
		help:   "encoding of Node's messages",
		kind:   one(choice("advanced", "json"), func(l *loaded) *string { return &l.Serialization }),
	},
	{
		name: "node-preload", arg: "HOW", def: "auto",
		effect: Replaced,
		help:   "load the preload in Node workers",
		kind:   one(choice("auto", "on", "off"), func(l *loaded) *string { return &l.NodePreload }),
	},
	{
		name:   "wait-ready",
		effect: Replaced,
		help:   "wait for process.send('ready') of Node",
		kind:   one(yes(), func(l *loaded) *bool { return &l.WaitReady }),
	},
	{
		name: "window", arg: "N", def: "64",
		effect: Replaced,
		help:   "unaccepted connections a worker may hold",
		kind:   one(number(1, 250), func(l *loaded) *int { return &l.Window }),
	},
	{
		name: "head-timeout", arg: "DUR", def: "10s",
		help: "wait for the head's session id",
		kind: one(duration(100*time.Millisecond, 10*time.Minute),
			func(l *loaded) *time.Duration { return &l.HeadTimeout }),
	},
	{
		name: "head-bytes", arg: "BYTES", def: "16384",
		help: "longest request head",
		kind: one(number(1024, 65536), func(l *loaded) *int { return &l.HeadBytes }),
	},
	{
		name: "park-timeout", arg: "DUR", def: "150ms",
		help: "wait for a Node worker's new id",
		kind: one(duration(0, 10*time.Second),
			func(l *loaded) *time.Duration { return &l.ParkTimeout }),
	},
	{
		name: "queue-timeout", arg: "DUR", def: "10s",
		help: "wait for a worker, then 503",
		kind: one(duration(0, 10*time.Minute),
			func(l *loaded) *time.Duration { return &l.QueueTimeout }),
	},
	{
		name: "max-waiting", arg: "N", def: "4096",
		help: "most connections without a worker",
		kind: one(number(16, 1000000), func(l *loaded) *int { return &l.MaxWaiting }),
	},
	{
		name: "poller", arg: "HOW", def: "auto", test: true,
		effect: OnUpgrade,
		kind:   one(choice("auto", "runtime"), func(l *loaded) *string { return &l.Poller }),
	},
	{
		name: "user", arg: "USER", def: "same",
		effect: Replaced,
		help:   "user that workers run as",
		kind:   one(unless("same", "", account()), func(l *loaded) *string { return &l.User }),
	},
	{
		name: "group", arg: "GROUP", def: "auto",
		effect: Replaced,
		help:   "group that workers run as",
		kind:   one(unless("auto", "", account()), func(l *loaded) *string { return &l.Group }),
	},
	{
		name: "worker-nofile", arg: "N", def: "same",
		effect: Replaced,
		help:   "open files per worker",
		kind:   one(unless("same", 0, number(64, 1<<20)), func(l *loaded) *int { return &l.WorkerNoFile }),
	},
	{
		name: "worker-nice", arg: "N", def: "0",
		effect: Replaced,
		help:   "niceness of workers, added to stickyd's",
		kind:   one(number(-20, 19), func(l *loaded) *int { return &l.WorkerNice }),
	},
	{
		name: "worker-memory", arg: "SIZE", def: "unlimited",
		effect: OnStart,
		help:   "memory limit per worker (cgroup)",
		kind:   one(unless("unlimited", 0, size(16<<20, 16<<40)), func(l *loaded) *int64 { return &l.WorkerMemory }),
	},
	{
		name: "start-timeout", arg: "DUR", def: "60s",
		help: "wait for a new worker to be ready",
		kind: one(duration(100*time.Millisecond, time.Hour),
			func(l *loaded) *time.Duration { return &l.StartTimeout }),
	},
	{
		name: "hang-timeout", arg: "DUR", def: "30s",
		help: "kill a worker stuck for DUR",
		kind: one(orOff(duration(100*time.Millisecond, time.Hour)),
			func(l *loaded) *time.Duration { return &l.HangTimeout }),
	},
	{
		name: "dump-signal", arg: "SIG", def: "QUIT",
		help: "signal to a hung worker before SIGKILL",
		kind: one(orNone(signal(choice("QUIT", "ABRT", "USR1", "USR2", "none"))),
			func(l *loaded) *string { return &l.DumpSignal }),
	},
	{
		name: "dump-grace", arg: "DUR", def: "2s",
		help: "time from that signal to SIGKILL",
		kind: one(duration(0, time.Minute),
			func(l *loaded) *time.Duration { return &l.DumpGrace }),
	},
	{
		name: "drain-timeout", arg: "DUR", def: "30s", common: true,
		help: "wait for sessions and requests to end",
		kind: one(duration(0, 24*time.Hour),
			func(l *loaded) *time.Duration { return &l.DrainTimeout }),
	},
	{
		name: "stop-timeout", arg: "DUR", def: "10s",
		help: "time from SIGTERM to SIGKILL",
		kind: one(duration(0, time.Hour),
			func(l *loaded) *time.Duration { return &l.StopTimeout }),
	},
	{
		name: "min-ready", arg: "DUR", def: "2s",
		help: "how long a new worker must stay ready",
		kind: one(duration(0, time.Hour),
			func(l *loaded) *time.Duration { return &l.MinReady }),
	},
	{
		name: "parallel", arg: "N", def: "1",
		help: "workers to replace at a time",
		kind: one(number(1, 1024), func(l *loaded) *int { return &l.Parallel }),
	},
	{
		name: "max-unready", arg: "N", def: "0",
		help: "new workers that may crash in a restart",
		kind: one(number(0, 1024), func(l *loaded) *int { return &l.MaxUnready }),
	},
	{
		name: "max-draining", arg: "N", def: "4",
		help: "old workers per slot that may drain",
		kind: one(number(1, 1024), func(l *loaded) *int { return &l.MaxDraining }),
	},
	{
		name: "recycle-age", arg: "DUR", def: "never",
		help: "replace a worker older than DUR",
		kind: one(unless("never", 0, duration(time.Minute, 8760*time.Hour)),
			func(l *loaded) *time.Duration { return &l.RecycleAge }),
	},
	{
		name: "recycle-connections", arg: "N", def: "never",
		help: "replace one after N connections",
		kind: one(unless("never", 0, number(1, 1000000000)), func(l *loaded) *int { return &l.RecycleConnections }),
	},
	{
		name: "recycle-memory", arg: "SIZE", def: "never",
		help: "replace a worker above SIZE",
		kind: one(unless("never", 0, size(16<<20, 16<<40)), func(l *loaded) *int64 { return &l.RecycleMemory }),
	},
	{
		name: "watch", arg: "PATH", example: "./src",
		effect: OnUpgrade,
		help:   "restart workers when PATH changes; repeatable",
		kind:   many(path(), func(l *loaded) *[]string { return &l.Watch }, nil),
	},
	{
		name: "on-crash-loop", arg: "HOW", def: "exit",
		help: "if no worker ever gets ready",
		kind: one(choice("exit", "keep"), func(l *loaded) *string { return &l.OnCrashLoop }),
	},
	{
		name: "env", arg: "K=V", example: `[env] followed by lines NAME = "value"`, common: true,
		effect: Replaced,
		help:   "variable for the workers; repeatable",
		kind:   variables(func(l *loaded) *[]string { return (*[]string)(&l.Env) }),
	},
	{
		name: "command", arg: "= [ARG...]", example: "./myserver", place: fileOnly,
		effect: Replaced,
		help:   "only in the file: used if nothing follows --",
		kind:   arguments(func(l *loaded) *[]string { return (*[]string)(&l.Command) }),
	},
	{
		name: "control", arg: "SOCKET", def: "auto",
		effect: OnUpgrade,
		help:   "control socket of the commands",
		kind:   one(controlSocket(), func(l *loaded) *string { return &l.Control }),
	},
	{
		name: "metrics", arg: "ADDR", example: "127.0.0.1:9090",
		effect: Listened,
		help:   "serve /metrics and /healthz; repeatable",
		kind:   many(address(), func(l *loaded) *[]string { return &l.Metrics }, noneTwice),
	},
	{
		name: "log-format", arg: "FORMAT", def: "auto",
		effect: OnUpgrade,
		help:   "auto: text on a terminal, else json",
		kind:   one(choice("auto", "text", "json"), func(l *loaded) *string { return &l.LogFormat }),
	},
	{
		name: "log-level", arg: "LEVEL", def: "info",
		help: "lowest level to log",
		kind: one(choice("debug", "info", "warn", "error"), func(l *loaded) *string { return &l.LogLevel }),
	},
	{
		name: "config", arg: "FILE", place: flagOnly, common: true,
		help: "read a TOML file; flags win over it",
		kind: one(path(), func(l *loaded) *string { return &l.File }),
	},
	{
		name: "check", place: flagOnly, common: true,
		help: "check options, command and file, then exit",
		kind: one(yes(), func(l *loaded) *bool { return &l.Check }),
	},
	{
		name: "help", short: "h", place: flagOnly,
		help: "print help, then exit",
		kind: one(yes(), func(l *loaded) *bool { return &l.Help }),
	},
	{
		name: "all", place: flagOnly,
		help: "with --help: show every option",
		kind: one(yes(), func(l *loaded) *bool { return &l.All }),
	},
	{
		name: "version", place: flagOnly,
		help: "print the version, then exit",
		kind: one(yes(), func(l *loaded) *bool { return &l.Version }),
	},
}

// find returns the option for which is says yes, or nil.
func find(is func(*option) bool) *option {
	for i := range options {
		if is(&options[i]) {
			return &options[i]
		}
	}
	return nil
}

// byKey returns the option with that key in the file, or nil.
func byKey(key string) *option {
	return find(func(o *option) bool { return o.key() == key })
}

// byFlag returns the option with that long name, or nil.
func byFlag(name string) *option {
	return find(func(o *option) bool { return o.name == name })
}
