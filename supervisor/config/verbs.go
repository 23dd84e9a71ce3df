package config

import (
	"fmt"
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
	return fmt.Errorf("unknown command %q; did you mean %q? (A worker's command comes after --.)", word, verb)
}

func misplaced(verb string) string {
	return fmt.Sprintf("flags of stickyd %s stand behind that word: stickyd %s [flags]", verb, verb)
}

// verbAmong returns the first word of a command line that is a verb, or "".
func verbAmong(args []string) string {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	if i := slices.IndexFunc(args, IsVerb); i >= 0 {
		return args[i]
	}
	return ""
}
