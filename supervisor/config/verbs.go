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

// elsewhere are commands of other process managers (pm2, supervisorctl, systemctl,
// docker), and what there is instead.
var elsewhere = commandsOfOthers(map[string]string{
	"ps list ls jlist top monit dashboard stats info show describe inspect pid is-active": "stickyd status shows the workers",
	"log tail attach maintail":             "stickyd logs -f shows what workers print",
	"start run exec":                       "stickyd -- COMMAND starts",
	"kill rm":                              "stickyd stop stops all, stickyd restart 3 replaces one worker",
	"delete del remove shutdown quit exit": "stickyd stop stops all",
	"reread update daemon-reload":          "stickyd reload reads the configuration again",
	"try-restart reload-or-restart deploy": "stickyd restart replaces the workers",
	"enable disable mask save dump resurrect startup unstartup": "a service manager starts stickyd at boot, see examples/systemd",
	"flush": "stickyd keeps no log files",
})

func commandsOfOthers(instead map[string]string) map[string]string {
	all := make(map[string]string)
	for words, text := range instead {
		for _, word := range strings.Fields(words) {
			all[word] = text
		}
	}
	return all
}

// checkCommand returns an error if the words of a command, without -- before
// them, were most likely meant for stickyd. One alone always counts as such,
// unless it is a path, and so does a command of other process managers, though
// there may be a program of that name: who asks for what there is not must not get
// ps or kill on the port.
func checkCommand(words []string) error {
	word := words[0]
	switch {
	case IsVerb(word):
		return fmt.Errorf("%s (to run a program of that name as workers: stickyd -- %s)", misplaced(word), word)
	case strings.ContainsRune(word, '/') || word == "":
		return nil
	case len(words) == 1, elsewhere[word] != "", cli.Nearest(word, verbs) != "" && !isProgram(word):
		return unknownCommand(word)
	}
	return nil
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
	run := "to run a program of that name as workers: stickyd -- " + shown
	if isFile(word) {
		run = "to run the file of that name as workers: stickyd ./" + shown
	}
	return errors.New("unknown command " + quoted + instead(word) + " (" + run + ")")
}

// instead is a hint what to write instead of a word.
func instead(word string) string {
	if text := elsewhere[word]; text != "" {
		return "; " + text
	}
	if hint := cli.DidYouMean(word, verbs, "%q"); hint != "" {
		return hint
	}
	return "; stickyd help shows the commands"
}

func misplaced(verb string) string {
	return fmt.Sprintf("write the flags of stickyd %s after that word: stickyd %s [flags]", verb, verb)
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
