package supervisor

import (
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// This file is what a person is told who has started something that does not
// become a worker. A hint says what to type next.

// notAWorker is the hint where nothing more is known.
const notAWorker = "stickyd runs Node servers, as in stickyd -- node server.js, Go servers built with workerproto, " +
	"and programs that speak workerproto/PROTOCOL.md; is the command one of these?"

// commandHint is the hint for a command of which nothing is known but its words.
func commandHint(argv []string) string {
	if hasNoScript(argv) {
		return "without a script Node takes connections from stickyd only with its preload (--node-preload auto); or put the code of " + filepath.Base(argv[0]) + " " + argv[1] +
			" into a file, as in stickyd -- node server.js"
	}
	if watchesFiles(argv) {
		return "node --watch runs the server as another process, which stickyd cannot reach: leave out --watch, and stickyd --watch . " +
			"restarts workers when files change"
	}
	return notAWorker
}

// watchesFiles reports whether a command is Node in watch mode.
func watchesFiles(argv []string) bool {
	if len(argv) == 0 || programName(argv, "") != "node" {
		return false
	}
	for _, option := range nodeOptions(argv) {
		if strings.HasPrefix(option, "--watch") {
			return true
		}
	}
	return false
}

// hasNoScript reports whether a command is Node with its code as an argument.
func hasNoScript(argv []string) bool {
	if len(argv) < 2 || programName(argv, "") != "node" {
		return false
	}
	return slices.Contains([]string{"-e", "--eval", "-p", "--print", "-pe"}, argv[1])
}

// nodeLaunchers are Node programs that start the server as another process. The
// channel to stickyd is theirs first; with the preload most pass it on
// (workerproto/node/lib/wrapper.js). otherLaunchers are others in front of a server.
var (
	nodeLaunchers  = []string{"npm", "npx", "pnpm", "pnpx", "yarn", "cross-env", "dotenv", "nodemon", "tsx", "ts-node", "ts-node-dev", "concurrently", "forever"}
	otherLaunchers = []string{"sh", "bash", "dash", "zsh", "ash", "su", "sudo", "runuser", "gosu", "su-exec", "env", "tini", "dumb-init", "poetry", "pipenv", "uv"}
)

func isNodeLauncher(argv []string) bool {
	return slices.Contains(nodeLaunchers, programName(argv, "")) || watchesFiles(argv)
}

func isLauncher(argv []string) bool {
	return isNodeLauncher(argv) || slices.Contains(otherLaunchers, programName(argv, ""))
}

// An opened port is one at which a worker that is not ready serves past stickyd.
type opened struct {
	program program  // which listens
	command []string // of the worker
	isGo    bool     // it was built by Go
	said    string   // what its worker's link says of it; "" for nothing
}

// String says what has happened, in a sentence.
func (o *opened) String() string {
	return fmt.Sprintf("%v has opened %s itself, so stickyd cannot pass connections to it", o.program, o.where())
}

// where is "port 8000", "127.0.0.1:5000", "socket /run/app.sock", or several.
func (o *opened) where() string {
	var all []string
	for _, addr := range o.program.listens {
		if port, ok := strings.CutPrefix(addr, ":"); ok {
			addr = "port " + port
		} else if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			addr = "socket " + path
		}
		all = append(all, addr)
	}
	return strings.Join(all, ", ")
}

// languages has what programs run others in, by the beginning of their names.
var languages = [][2]string{
	{"python", "Python"}, {"gunicorn", "Python"}, {"uvicorn", "Python"}, {"flask", "Python"}, {"java", "Java"}, {"ruby", "Ruby"}, {"puma", "Ruby"},
	{"php", "PHP"}, {"perl", "Perl"}, {"dotnet", ".NET"}, {"beam", "Erlang"}, {"deno", "Deno"}, {"bun", "Bun"},
}

// hint is what to do about it.
func (o *opened) hint() string {
	name := o.program.name
	started := ""
	if isLauncher(o.command) && name != programName(o.command, "") {
		started = fmt.Sprintf("%s starts it. ", programName(o.command, ""))
	}
	switch {
	case strings.HasPrefix(o.said, programName(o.command, "")+" "):
		return o.said
	case o.said != "":
		return started + o.said
	case watchesFiles(o.command):
		return commandHint(o.command)
	case hasNoScript(o.program.args):
		return started + commandHint(o.program.args)
	case name == "node":
		return started + "Node takes connections from stickyd only if stickyd starts node itself, as in stickyd -- node server.js"
	case o.isGo:
		return started + `In Go call workerproto.Listen in place of net.Listen, and its Serve in place of the server's ListenAndServe: ` +
			`see "A worker in Go" in the README`
	}
	other := "it cannot run this program yet"
	for _, l := range languages {
		if strings.HasPrefix(name, l[0]) {
			other = "it cannot run a server in " + l[1] + " yet"
		}
	}
	return started + "stickyd runs Node servers, Go servers built with workerproto, and programs that speak workerproto/PROTOCOL.md; " + other +
		". Start copies on ports of their own behind a load balancer instead"
}

// goProgram says whether a process's program was built by Go, and whether with
// our library.
func goProgram(pid int) (isGo, isWorker bool) {
	const module = "github.com/stickyd/stickyd"
	info, err := buildinfo.ReadFile(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false, false
	}
	isWorker = info.Main.Path == module
	for _, dep := range info.Deps {
		isWorker = isWorker || dep.Path == module
	}
	return true, isWorker
}

// inUse matches what programs print when their port is taken.
var inUse = regexp.MustCompile(`(?i)EADDRINUSE|address (is )?(already )?in use|port \d+ (is|was) (already )?in use`)

// inForeground is the hint for a command that puts itself into the background.
const inForeground = "stickyd looks after a worker only as long as its first process runs: start the program in the foreground, " +
	"as nginx does with -g 'daemon off;'"

// deathHint is what to do about a worker that died before it was ever ready; "" where
// nothing is known but what it printed.
func (w *Worker) deathHint() string {
	switch {
	case !w.readyAt.IsZero():
		return ""
	case w.daemonized():
		return inForeground
	case servesAlone(w.Link):
		return w.Link.Hint()
	case refusal(w.Link) != "":
		return refusal(w.Link)
	case slices.ContainsFunc(w.last.get(), inUse.MatchString):
		return "a worker must not open its port itself: stickyd has several copies, and only one can have it. " + commandHint(w.launch.Argv)
	case hasSpoken(w.Link) && !hasNoScript(w.launch.Argv):
		return "" // it is one; what it printed says why it ended
	}
	return commandHint(w.launch.Argv)
}
