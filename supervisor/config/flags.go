package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/stickyd/stickyd/supervisor/cli"
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
	args = cli.Spread(set, args, false)
	if err := set.Parse(args); err != nil {
		return given, explain(err, set, args)
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

// explain turns an error of set.Parse(args) into one of ours. Package flag has no
// types for them, so they are told apart by their text, and a test watches it.
func explain(err error, set *flag.FlagSet, args []string) error {
	if strings.HasPrefix(err.Error(), "flag provided but not defined: ") {
		return unknownFlag(set, args)
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		o := find(func(o *option) bool { return o.name == name || o.short == name })
		return fmt.Errorf("--%s: needs a value: --%s %s", o.name, o.name, o.arg)
	}
	return err
}

func unknownFlag(set *flag.FlagSet, args []string) error {
	word, name := cli.Unknown(set, args)
	if o := byFlag(name); o != nil {
		return fmt.Errorf("--%s is no flag: set %s in the file, or write the command behind --", name, o.key())
	}
	hint := cli.Similar(set, name)
	if verb := verbBehind(set.Args()); verb != "" {
		hint = "; " + misplaced(verb)
	} else if hint == "" {
		hint = "; stickyd help --all shows all flags"
	}
	return errors.New("unknown flag " + word + hint)
}
