package config

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// verbs are the words that stickyd takes for itself where they come first.
var verbs = []string{
	"status", "logs", "events", "explain", "restart", "scale", "drain", "reload", "upgrade", "cancel", "stop",
	"demo", "version", "help",
}

// IsVerb reports whether stickyd takes a word for itself where it comes first.
func IsVerb(word string) bool { return slices.Contains(verbs, word) }

// checkWord returns an error if the first word of a command, without -- before
// it, was most likely meant for stickyd.
func checkWord(word string) error {
	if IsVerb(word) {
		return fmt.Errorf("%s; to run a program of that name as workers, write -- before it", misplaced(word))
	}
	verb := nearest(word, verbs)
	if verb == "" || strings.ContainsRune(word, '/') {
		return nil
	}
	if _, err := exec.LookPath(word); err == nil {
		return nil
	}
	if _, err := os.Stat(word); err == nil {
		return nil // who starts it says that it is to be written with a ./
	}
	return fmt.Errorf("unknown command %q; did you mean %q? (A worker's command comes after --.)", word, verb)
}

func misplaced(verb string) string {
	return fmt.Sprintf("flags of stickyd %s stand behind that word: stickyd %s [flags]", verb, verb)
}

// verbBehind returns the first word behind flags if it is a verb, or "". Words of
// a command are nobody's business.
func verbBehind(args []string) string {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		name := strings.TrimLeft(args[0], "-")
		o := find(func(o *option) bool { return o.name == name || o.short == name })
		args = args[1:]
		if o != nil && o.arg != "" && len(args) > 0 {
			args = args[1:] // its value
		}
	}
	if len(args) > 0 && IsVerb(args[0]) {
		return args[0]
	}
	return ""
}
