package config

import (
	_ "embed"
	"fmt"
	"strings"
)

// Usage returns the help: the options that most people need, on one screen, or
// all of them.
func Usage(all bool) string {
	var b strings.Builder
	b.WriteString(usageHead)
	for i := range options {
		if o := &options[i]; o.common || all && !o.test {
			o.writeHelp(&b, all)
		}
	}
	if all {
		b.WriteString(usageUnits)
	}
	b.WriteString(usageTail)
	return b.String()
}

const usageHead = `Usage: stickyd [flags] -- COMMAND [ARG...]

Run copies of COMMAND behind one port. All connections of a session go to the
same copy. Without --listen, Node servers keep the port that they listen on.

`

const usageUnits = `
DUR is a number with its unit, such as 500ms, 10s, 5m or 1h. In the file, names
have _ for -, as in head_timeout = "10s", and variables go below [env]. Flags
override the file, and a command after -- overrides the file's.
`

const usageTail = `
Commands: stickyd status, logs, events, explain, restart, scale, drain, reload,
upgrade, cancel, stop (see --help); stickyd demo, version, help --all.
Signals: TERM, QUIT and INT finish open requests and stop; a second one stops at
once. HUP reloads, USR2 upgrades, TTIN and TTOU scale by one.
Exit status: 0 stopped as asked, 1 failed while running, 2 bad usage.

Examples:
  stickyd -- ./myserver
  stickyd -n 4 -l :8080 --session cookie:JSESSIONID -- ./myserver --verbose
  stickyd --config stickyd.toml --check
`

// DemoUsage is the help of the demo.
const DemoUsage = `Usage: stickyd demo [flags]

Run a server of stickyd's own as workers, on 127.0.0.1:3000 unless --listen says
otherwise. Its page shows sessions, the worker that each of them lives in, and a
button that kills that worker. ^C ends it.

Flags are stickyd's, see stickyd help --all; there is no command.

Examples:
  stickyd demo
  stickyd demo -n 4 -l 127.0.0.1:0
`

// writeHelp writes an option's line and, if all is wanted, one for its range.
func (o *option) writeHelp(b *strings.Builder, all bool) {
	name := "      --" + o.name
	switch {
	case o.place == fileOnly:
		name = "      " + o.key()
	case o.short != "":
		name = "  -" + o.short + ", --" + o.name
	}
	fmt.Fprintf(b, "%-26s %s", name+" "+o.arg, o.help)
	if o.def != "" {
		fmt.Fprintf(b, " (default %s)", o.def)
	}
	b.WriteString("\n")
	if all && o.kind.allowed != "" {
		fmt.Fprintf(b, "          %s\n", o.kind.allowed)
	}
}

//go:embed reference.toml
var reference string

// Reference returns a file that sets every key to its default, with comments
// that say what it means and what it may be.
func Reference() string { return reference }
