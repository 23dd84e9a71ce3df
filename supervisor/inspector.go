package supervisor

import (
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Node listens for a debugger where its options say (--inspect and the like), and
// of several workers only one could. So each gets a port of its own, counted up from
// the one that was asked for, as Node's own primary does it: the first worker has
// that one, and who replaces a worker gets its port again, once it is gone.

// inspectors are the ports that workers' debuggers listen on. The zero value has
// none. Methods may be called from any goroutine.
type inspectors struct {
	mu    sync.Mutex
	taken map[int]bool // how far beyond the one that was asked for
}

// take returns how far beyond the port that was asked for the one of a worker is.
// release must follow. all is how many slots there are.
func (i *inspectors) take(slot, all int) (offset int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for offset = slot - 1; i.taken[offset]; offset += max(1, all) {
	}
	i.keep(offset)
	return offset
}

// restore is take of a worker that has one.
func (i *inspectors) restore(offset int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keep(offset)
}

// keep is called with mu held.
func (i *inspectors) keep(offset int) {
	if i.taken == nil {
		i.taken = make(map[int]bool)
	}
	i.taken[offset] = true
}

func (i *inspectors) release(offset int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.taken, offset)
}

// defaultInspector is Node's.
const defaultInspector = 9229

var inspects = regexp.MustCompile(`^(--inspect(?:-brk|-wait|-port)?|--debug-port)(?:=(.*))?$`)

// withInspector returns Node's arguments with another port for the debugger, where
// they are Node's and there is one.
func withInspector(argv []string, offset int) []string {
	if name := filepath.Base(argv[0]); name != "node" && name != "nodejs" {
		return argv
	}
	argv = slices.Clone(argv)
	for i, option := range nodeOptions(argv) {
		if !isPort(option) {
			argv[i] = countUp(option, offset)
		} else if i+1 < len(argv) {
			argv[i+1] = strings.TrimPrefix(countUp(option+"="+argv[i+1], offset), option+"=")
		}
	}
	return argv
}

// isPort reports whether an option is one whose next word is the debugger's port.
func isPort(option string) bool { return option == "--inspect-port" || option == "--debug-port" }

// countUp returns an option with another port, if it is one that has a port. Port 0
// stays: it is another one each time.
func countUp(option string, offset int) string {
	parts := inspects.FindStringSubmatch(option)
	if parts == nil || offset == 0 {
		return option
	}
	host, port := "", strconv.Itoa(defaultInspector)
	switch h, p, err := net.SplitHostPort(parts[2]); {
	case err == nil:
		host, port = h, p
	case parts[2] == "":
	case strings.Trim(parts[2], "0123456789") == "":
		port = parts[2]
	default:
		host = parts[2]
	}
	n, err := strconv.Atoi(port)
	if err != nil || n == 0 {
		return option
	}
	counted := strconv.Itoa(n + offset)
	if host != "" {
		counted = net.JoinHostPort(host, counted)
	}
	return parts[1] + "=" + counted
}

// countUpAll is countUp for the options in a text.
func countUpAll(options string, offset int) string {
	port := "" // the option whose next word is the port
	return words.ReplaceAllStringFunc(options, func(word string) string {
		option := port
		port = ""
		switch {
		case option != "":
			return strings.TrimPrefix(countUp(option+"="+word, offset), option+"=")
		case isPort(word):
			port = word
			return word
		}
		return countUp(word, offset)
	})
}

var words = regexp.MustCompile(`\S+`)
