package admin

import (
	"errors"
	"flag"
	"strings"

	"github.com/stickyd/stickyd/supervisor/cli"
)

// explainFlag turns an error of flags.Parse(args) into one of ours. Package flag has
// no types for them, so they are told apart by their text, and a test watches it.
func explainFlag(err error, flags *flag.FlagSet, args []string) error {
	text := err.Error()
	if strings.HasPrefix(text, "flag provided but not defined: ") {
		word, name := cli.Unknown(flags, args)
		return errors.New("unknown flag " + word + cli.Similar(flags, name))
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return errors.New(dashed(name) + " needs a value")
	}
	if rest, ok := strings.CutPrefix(text, "invalid value "); ok {
		value, rest, _ := strings.Cut(rest, " for flag -")
		name, why, _ := strings.Cut(rest, ": ")
		return errors.New(dashed(name) + " " + strings.Trim(value, `"`) + ": " + why)
	}
	if rest, ok := strings.CutPrefix(text, "invalid boolean value "); ok {
		_, rest, _ := strings.Cut(rest, " for -")
		name, _, _ := strings.Cut(rest, ": ")
		return errors.New(dashed(name) + " takes no value")
	}
	return err
}

// dashed is a flag as people write it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// letters are the short names of flags that have two, in all verbs.
var letters = map[string]string{"follow": "f", "lines": "n", "time": "t"}

// define defines a flag by its name, and by its letter, if it has one.
func define(name string, as func(name string)) {
	as(name)
	if letter := letters[name]; letter != "" {
		as(letter)
	}
}

// label is a flag as the usage has it; "" for one that stands beside its longer
// name.
func label(f *flag.Flag) string {
	switch letter := letters[f.Name]; {
	case len(f.Name) == 1:
		return ""
	case letter != "":
		return "-" + letter + ", --" + f.Name
	}
	return "--" + f.Name
}
