package supervisor

import (
	"fmt"
	"strings"
)

// A program is what one process of a worker's runs: its own process, or one that
// it has started.
type program struct {
	pid     int
	name    string   // by which it calls itself, without a directory: "node"
	args    []string // the first words of its command line, two at most
	listens []string // where it listens on sockets of its own: ":8000", "127.0.0.1:9229" or "unix:/path"
}

func (p program) String() string { return fmt.Sprintf("%s (pid %d)", p.name, p.pid) }

// programName returns what a process is called. Some write a title over their
// command line, such as "nginx: master process /usr/sbin/nginx".
func programName(args []string, command string) string {
	if len(args) == 0 {
		return command // the kernel's word, of 15 bytes at most
	}
	name, _, _ := strings.Cut(args[0], " ")
	name = strings.TrimRight(name[strings.LastIndexByte(name, '/')+1:], ":")
	if name = strings.TrimPrefix(name, "-"); name == "" { // of a login shell
		return command
	}
	return name
}

// namedMost is how many processes a message names.
const namedMost = 5

// namesOf returns the names and numbers of processes for a message.
func namesOf(all []proc) string {
	var names []string
	for _, p := range all[:min(len(all), namedMost)] {
		names = append(names, describe(p.pid).String())
	}
	if more := len(all) - namedMost; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
