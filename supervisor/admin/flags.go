package admin

import (
	"errors"
	"flag"
	"strings"
)

// explainFlag turns an error of package flag into one of ours. That package has no
// types for them, so they are told apart by their text, and a test watches it.
func explainFlag(err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return errors.New("unknown flag " + dashed(name))
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

// takesValue reports whether a word is a flag whose value is the next word.
func takesValue(flags *flag.FlagSet, word string) bool {
	if !strings.HasPrefix(word, "-") {
		return false
	}
	f := flags.Lookup(strings.TrimLeft(word, "-"))
	if f == nil {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}
