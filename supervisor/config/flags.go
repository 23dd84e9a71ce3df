package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// fromFlags reads a command line: flags, then the command, which starts at the
// first word that is not a flag, or behind --. On an error it returns the flags
// that stood before it.
func fromFlags(args []string) ([]setting, error) {
	var given []setting
	set := flag.NewFlagSet("stickyd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for i := range options {
		define(set, &options[i], &given)
	}
	if err := set.Parse(args); err != nil {
		return given, explain(err, verbBehind(set.Args()))
	}
	if set.NArg() > 0 {
		if before := len(args) - set.NArg() - 1; before < 0 || args[before] != "--" {
			if err := checkCommand(set.Args()); err != nil {
				return given, err
			}
		}
		given = append(given, setting{option: byFlag("command"), texts: set.Args(), where: "command", sep: onLine})
	}
	return given, nil
}

// define gives set the flags of an option. They only collect into given; what
// the words are worth is found out when the settings are applied.
func define(set *flag.FlagSet, o *option, given *[]setting) {
	if o.place == fileOnly {
		return
	}
	collect := func(text string) error {
		for i, s := range *given {
			if s.option == o {
				(*given)[i].texts = append(s.texts, text)
				return nil
			}
		}
		*given = append(*given, setting{option: o, texts: []string{text}, where: "--" + o.name, sep: onLine})
		return nil
	}
	for _, name := range []string{o.name, o.short} {
		switch {
		case name == "":
		case o.arg == "":
			set.BoolFunc(name, "", collect)
		default:
			set.Func(name, "", collect)
		}
	}
}

// explain turns an error of package flag into one of ours. That package has no
// types for them, so they are told apart by their text, and a test watches it.
// verb is one that stands behind the flag that is wrong, "" for none.
func explain(err error, verb string) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return unknownFlag(name, verb)
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		o := find(func(o *option) bool { return o.name == name || o.short == name })
		return fmt.Errorf("--%s: needs a value: --%s %s", o.name, o.name, o.arg)
	}
	return err
}

func unknownFlag(name, verb string) error {
	if o := byFlag(name); o != nil {
		return fmt.Errorf("--%s is no flag: set %s in the file, or write the command behind --", name, o.key())
	}
	var names []string
	for i := range options {
		if options[i].place != fileOnly {
			names = append(names, options[i].name)
		}
	}
	hint := didYouMean(name, names, "--%s")
	switch {
	case verb != "":
		hint = "; " + misplaced(verb)
	case hint == "":
		hint = "; stickyd help --all shows all flags"
	}
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	return errors.New("unknown flag " + dashes + name + hint)
}
