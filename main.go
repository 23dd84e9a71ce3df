// Command stickyd runs N copies of a server that keeps sessions in memory
// behind one port. See README.md.
//
// This file is the command line: what the first word asks for, and the exit
// status. All that runs is in supervisor/instance.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/instance"
	"github.com/stickyd/stickyd/supervisor/terminal"
	"github.com/stickyd/stickyd/supervisor/upgrade"
	"github.com/stickyd/stickyd/workerproto/demo"
)

// Exit statuses, as the help names them.
const (
	exitStopped = 0
	exitFailed  = 1
	exitUsage   = 2
)

// The verbs by which stickyd starts itself. They are in no help, and no program
// is called so.
const (
	guardianVerb   = "--internal-guardian"
	launcherVerb   = "--internal-launcher"
	demoWorkerVerb = "--internal-demo-worker"
)

func main() {
	os.Exit(command(os.Args[1:]))
}

// command does what the first word asks for and returns the exit status.
func command(args []string) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "help":
		return help(args[1:])
	case "version":
		fmt.Println("stickyd " + programVersion())
		return exitStopped
	case "demo":
		return serve(append(args[1:len(args):len(args)], append([]string{"--"}, demoCommand()...)...), true)
	case demoWorkerVerb:
		return report(demo.Run())
	case guardianVerb:
		supervisor.RunGuardian(os.Stdin)
		return exitStopped
	case launcherVerb:
		supervisor.RunLauncher(args[1:])
		return exitFailed
	case upgrade.CheckArg:
		return command(args[1:]) // of which upgrade.Inherited knows that it is a check
	}
	if admin.IsVerb(verb) {
		return admin.Command(args, os.Stdout, os.Stderr)
	}
	return serve(args, false)
}

// help prints the help about a word, if there is one.
func help(words []string) (status int) {
	if err := config.CheckHelp(words); err != nil {
		return report(err)
	}
	word := strings.Join(words, "")
	if admin.IsVerb(word) || word == "demo" {
		return command([]string{word, "--help"})
	}
	fmt.Print(config.Usage(strings.TrimLeft(word, "-") == "all"))
	return exitStopped
}

// self is the path to execute to get this program again.
func self() string {
	const running = "/proc/self/exe" // right even after the file was replaced
	if _, err := os.Stat(running); err == nil {
		return running
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// report prints an error for the person who started us.
func report(err error) (status int) {
	text, status := explain(err)
	terminal.Writer(os.Stderr).Write([]byte(text))
	return status
}

// explain puts an error into lines, none if there is no error.
func explain(err error) (text string, status int) {
	var usage *config.Error
	switch {
	case err == nil:
		return "", exitStopped
	case errors.As(err, &usage):
		return fmt.Sprintf("stickyd: %s\nstickyd help shows how to use it\n", strings.ReplaceAll(err.Error(), "\n", "\nstickyd: ")), exitUsage
	}
	return fmt.Sprintln("stickyd:", err), exitFailed
}

// serve runs the main job.
func serve(args []string, isDemo bool) int {
	takeover, err := upgrade.Inherited()
	if err != nil {
		return report(takeover.Return(err))
	}
	p := &instance.Program{
		Load:     func() (*config.Config, error) { return reload(args, isDemo) },
		Version:  programVersion(),
		Revision: programRevision(),
		Guardian: []string{self(), guardianVerb},
		Launcher: []string{self(), launcherVerb},
		Text:     func(err error) string { text, _ := explain(err); return text },
	}
	if takeover != nil && takeover.Returned() != "" {
		return statusOf(p.TakeOver(takeover, nil)) // what the file says by now may be why it was given back
	}
	c, asked, err := load(args, isDemo)
	switch {
	case err != nil && takeover != nil:
		return report(takeover.Return(err))
	case err != nil:
		return report(err)
	case asked.Help && isDemo && !asked.All:
		fmt.Print(config.DemoUsage)
		return exitStopped
	case asked.Help:
		fmt.Print(config.Usage(asked.All))
		return exitStopped
	case asked.Version:
		fmt.Println("stickyd " + programVersion())
		return exitStopped
	case takeover != nil && takeover.Checking():
		return report(instance.CheckTakeover(takeover, c))
	case takeover != nil:
		return statusOf(p.TakeOver(takeover, c))
	case asked.Check:
		return check(p, c)
	}
	return statusOf(p.Run(c, func(addr net.Addr) {
		if isDemo {
			fmt.Printf("\n  The demo runs: %s\n  ^C ends it.\n\n", demo.URL(addr))
		}
	}))
}

// statusOf is the exit status after an error that was reported, or none.
func statusOf(err error) int {
	_, status := explain(err)
	return status
}

// check says whether stickyd could begin as c says.
func check(p *instance.Program, c *config.Config) int {
	if err := p.Check(c); err != nil {
		return report(err)
	}
	fmt.Println("stickyd: the configuration is valid (whether its addresses are free was not tried)")
	return exitStopped
}

// reload reads the configuration again, for a stickyd that runs.
func reload(args []string, isDemo bool) (*config.Config, error) {
	c, asked, err := load(args, isDemo)
	if err == nil && (c == nil || asked.Check) {
		err = errors.New("stickyd was not started to run")
	}
	return c, err
}

// load reads the configuration.
func load(args []string, isDemo bool) (*config.Config, config.Asked, error) {
	c, asked, err := config.Load(args)
	if err != nil || c == nil || !isDemo {
		return c, asked, err
	}
	if !slices.Equal(c.Command, demoCommand()) {
		return nil, asked, &config.Error{Problems: []error{fmt.Errorf("demo takes flags, but no command: %s", c.Command[0])}}
	}
	adaptToDemo(c)
	return c, asked, nil
}

// demoCommand is this program as the demo's worker.
func demoCommand() []string { return []string{self(), demoWorkerVerb} }

// adaptToDemo changes what people who try out the demo do not expect.
func adaptToDemo(c *config.Config) {
	if slices.Equal(c.Listen, []string{config.DefaultListen}) {
		c.ListenByDefault = false
		c.Listen = []string{"127.0.0.1" + config.DefaultListen} // anybody who reaches it can kill workers
	}
	if c.LogFormat == "auto" {
		c.LogFormat = "text"
	}
}

// release is the version of a program that was built from an archive, where
// there is no repository to ask:
//
//	go build -ldflags '-X main.release=v0.1.0'
var release string

// programVersion is what this program calls itself: the version of its tag, or of the
// commit that it was built from; or "(devel)" where nobody has said.
func programVersion() string {
	if release != "" {
		return release
	}
	info, _ := debug.ReadBuildInfo()
	return versionIn(info)
}

const unknown = "(devel)" // as the go command has it

// versionIn: the go command makes one of tag or commit, except in a workspace.
func versionIn(info *debug.BuildInfo) string {
	if info == nil {
		return unknown
	}
	if v := info.Main.Version; v != "" && v != unknown {
		return v
	}
	commit, modified := commitOf(info)
	if commit == "" {
		return unknown
	}
	return "devel-" + commit[:min(12, len(commit))] + modified
}

// programRevision is the commit that this program was built from, with "+dirty" behind it
// where files had been changed, and "" where the go command did not know.
func programRevision() string {
	info, _ := debug.ReadBuildInfo()
	return revisionIn(info)
}

func revisionIn(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	commit, modified := commitOf(info)
	return commit + modified
}

func commitOf(info *debug.BuildInfo) (commit, modified string) {
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+dirty"
		}
	}
	return commit, modified
}
