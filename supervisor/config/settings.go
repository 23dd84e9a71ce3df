package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A setting is one option as one source gives it: the flags of that name, or a
// key of the file.
type setting struct {
	option *option
	texts  []string // the values in their order; one for most options
	where  string   // how messages begin: "--window", or "stickyd.toml:7: window"
	sep    string   // what stands between where and a value
	err    error    // if not nil, what was wrong already; the rest is not set
}

// sets reports whether one of the settings is of the option with that name.
func sets(settings []setting, name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.err == nil && s.option.name == name })
}

// defaults returns what stands when nobody sets anything.
func defaults() *loaded {
	l := new(loaded)
	for i := range options {
		if o := &options[i]; o.def != "" {
			l.apply([]setting{{option: o, texts: []string{o.def}}})
		}
	}
	return l
}

// apply stores the settings of one source over those of weaker ones. It returns
// what is wrong with them, in their order.
func (l *loaded) apply(settings []setting) (problems []error) {
	for _, s := range settings {
		if s.err != nil {
			problems = append(problems, s.err)
			continue
		}
		problems = append(problems, l.store(s)...)
	}
	return problems
}

func (l *loaded) store(s setting) (problems []error) {
	k := s.option.kind
	if k.clear != nil {
		k.clear(l)
	}
	for _, text := range s.texts {
		if err := k.add(l, text); err != nil {
			problems = append(problems, fmt.Errorf("%s%s%s: %w", s.where, s.sep, s.shown(text), err))
		}
	}
	if len(problems) == 0 && k.whole != nil {
		if err := k.whole(l); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.where, err))
		}
	}
	return problems
}

// shown returns a value as messages show it: in the quotes that TOML wants, on
// one line, not endless, and only the name of an environment variable.
func (s setting) shown(text string) string {
	const enough = 80
	if s.option.kind.form == formTable {
		text = variableName(text)
	}
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "..."
	}
	if s.quoted(text) || text == "" || strings.HasSuffix(text, ":") || strings.ContainsFunc(text, unclear) {
		return strconv.Quote(text)
	}
	return text
}

// quoted reports whether a value stands in quotes in the file.
func (s setting) quoted(text string) bool {
	if s.sep != inFile {
		return false
	}
	switch s.option.kind.form {
	case formInteger, formBoolean:
		return false
	case formMixed:
		_, err := strconv.Atoi(text)
		return err != nil
	}
	return true
}

// What stands between an option and its value.
const (
	onLine  = " "
	inFile  = " = "
	inTable = "."
)

func unclear(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r)
}
