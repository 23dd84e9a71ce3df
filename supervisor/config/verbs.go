package config

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/stickyd/stickyd/supervisor/cli"
)

// verbs are the words that stickyd takes for itself where they come first.
var verbs = []string{
	"status", "logs", "events", "explain", "restart", "scale", "drain", "reload", "upgrade", "cancel", "stop",
	"demo", "version", "help",
}

// IsVerb reports whether stickyd takes a word for itself where it comes first.
func IsVerb(word string) bool { return slices.Contains(verbs, word) }

// elsewhere are words of other process managers, and what does the same here.
var elsewhere = map[string]string{
	"list": "status", "ls": "status", "ps": "status", "monit": "status", "top": "status",
	"info": "status", "show": "status", "describe": "status",
	"start": "-- COMMAND", "run": "-- COMMAND",
	"delete": "stop", "kill": "stop",
}

// checkCommand returns an error if the words of a command, without -- before
// them, were most likely meant for stickyd. One alone always counts as such,
// unless it is a path: who asks for what there is not must not get a program of
// that name on the port.
func checkCommand(words []string) error {
	word := words[0]
	switch {
	case IsVerb(word):
		return fmt.Errorf("%s; to run a program of that name as workers, write -- before it", misplaced(word))
	case strings.ContainsRune(word, '/') || word == "":
		return nil
	case len(words) == 1:
		return unknownCommand(word)
	}
	if elsewhere[word] == "" && cli.Nearest(word, verbs) == "" || isProgram(word) {
		return nil
	}
	return unknownCommand(word)
}

// isProgram reports whether there is a program of that name, or a file here: who
// starts it says that it is to be written with a ./
func isProgram(word string) bool {
	_, err := exec.LookPath(word)
	return err == nil || isFile(word)
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// CheckHelp returns an error, an *Error, unless there is help about the words
// that stand behind stickyd help.
func CheckHelp(words []string) error {
	var err error
	switch {
	case len(words) > 1:
		err = errors.New("help takes one word")
	case len(words) == 1 && !IsVerb(words[0]) && !isAll(words[0]):
		err = errors.New("unknown command " + strconv.Quote(words[0]) + instead(words[0]))
	default:
		return nil
	}
	return &Error{[]error{err}}
}

// isAll: help --all, as well as help all.
func isAll(word string) bool { return strings.TrimLeft(word, "-") == "all" }

func unknownCommand(word string) error {
	quoted := strconv.Quote(word)
	shown := word
	if strings.ContainsFunc(word, unclear) {
		shown = quoted
	}
	run := "to run a program of that name as workers write stickyd -- " + shown
	if isFile(word) {
		run = "to run the file of that name as workers write ./" + shown
	}
	return errors.New("unknown command " + quoted + instead(word) + " (" + run + ")")
}

// instead is a hint what to write instead of a word.
func instead(word string) string {
	if does := elsewhere[word]; does != "" {
		return "; here stickyd " + does + " does that"
	}
	if hint := cli.DidYouMean(word, verbs, "%q"); hint != "" {
		return hint
	}
	return "; stickyd help shows the commands"
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
