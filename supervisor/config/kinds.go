package config

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
)

// A kind is how an option's values are written, checked and stored. Flags and
// the file share it, so it starts from text.
type kind struct {
	form    form
	allowed string // range or choice, as help shows it; "" if there is nothing to say

	// clear forgets what a weaker source has set. It is nil where add replaces
	// the old value or merges with it.
	clear func(*loaded)
	// add checks one value and stores it.
	add func(l *loaded, text string) error
	// same reports whether two hold the same value, and copy gives to what from
	// has.
	same func(a, b *loaded) bool
	copy func(to, from *loaded)
	// whole checks what a source's values make together; nil if that is fine.
	whole func(*loaded) error
}

// form is the TOML type that an option has in the file.
type form int

const (
	formString  form = iota // "10s"
	formInteger             // 64
	formBoolean             // true; as a flag it takes no value
	formMixed               // "auto" or 4
	formList                // [":3000"], or ":3000" alone
	formArgv                // ["node", "server.js"]; a string alone could mean a shell's line
	formTable               // [env]
)

var formNames = map[form]string{
	formString:  "a string",
	formInteger: "a whole number",
	formBoolean: "true or false",
	formMixed:   "a whole number or a string",
	formList:    "an array of strings",
	formArgv:    "an array of strings",
	formTable:   "a table",
}

// one is an option with a single value; the last one given counts.
func one[T any](r rule[T], field func(*loaded) *T) kind {
	return kind{
		form:    r.form,
		allowed: r.allowed,
		add: func(l *loaded, text string) error {
			value, err := r.parse(text)
			if err == nil {
				*field(l) = value
			}
			return err
		},
		same: func(a, b *loaded) bool { return reflect.DeepEqual(*field(a), *field(b)) },
		copy: func(to, from *loaded) { *field(to) = *field(from) },
	}
}

// many is an option with a list of values, in the order given. The list is
// checked by whole unless that is nil.
func many[T any](r rule[T], field func(*loaded) *[]T, whole func([]T) error) kind {
	k := kind{
		form:    formList,
		allowed: r.allowed,
		clear:   func(l *loaded) { *field(l) = nil },
		same:    func(a, b *loaded) bool { return reflect.DeepEqual(*field(a), *field(b)) },
		copy:    func(to, from *loaded) { *field(to) = *field(from) },
		add: func(l *loaded, text string) error {
			value, err := r.parse(text)
			if err == nil {
				*field(l) = append(*field(l), value)
			}
			return err
		},
	}
	if whole != nil {
		k.whole = func(l *loaded) error { return whole(*field(l)) }
	}
	return k
}

// arguments is the kind of a command: many words of any content.
func arguments(field func(*loaded) *[]string) kind {
	k := many(argument(), field, startsWithProgram)
	k.form = formArgv
	return k
}

// variables is the kind of an environment: NAME=VALUE, sorted by name, where a
// stronger source's value replaces a weaker one's of the same name.
func variables(field func(*loaded) *[]string) kind {
	r := variable()
	return kind{
		form:    r.form,
		allowed: r.allowed,
		same:    func(a, b *loaded) bool { return slices.Equal(*field(a), *field(b)) },
		copy:    func(to, from *loaded) { *field(to) = *field(from) },
		add: func(l *loaded, text string) error {
			text, err := r.parse(text)
			if err == nil {
				*field(l) = setVariable(*field(l), text)
			}
			return err
		},
	}
}

func setVariable(env []string, text string) []string {
	i, found := slices.BinarySearchFunc(env, text, func(a, b string) int {
		return strings.Compare(variableName(a), variableName(b))
	})
	if found {
		env[i] = text
		return env
	}
	return slices.Insert(env, i, text)
}

func variableName(text string) string {
	name, _, _ := strings.Cut(text, "=")
	return name
}

func notEmpty(values []string) error {
	if len(values) == 0 {
		return errors.New("must hold at least one value")
	}
	return nil
}

// places are where clients connect.
func places(addrs []string) error {
	if err := notEmpty(addrs); err != nil {
		return err
	}
	return noneTwice(addrs)
}

func noneTwice(addrs []string) error {
	for i, addr := range addrs {
		if j := slices.IndexFunc(addrs[:i], func(other string) bool { return samePlace(addr, other) }); j >= 0 {
			return fmt.Errorf("%s is given twice%s", addr, otherwise(addr, addrs[j]))
		}
	}
	return nil
}

// apart returns an error if clients would connect where metrics are served.
// Where nobody has chosen for clients, a service manager may have.
func (c *Config) apart() error {
	if c.ListenByDefault {
		return nil
	}
	for _, addr := range c.Metrics {
		if i := slices.IndexFunc(c.Listen, func(other string) bool { return samePlace(addr, other) }); i >= 0 {
			return fmt.Errorf("metrics: %s is where clients connect%s; choose another port", addr, otherwise(addr, c.Listen[i]))
		}
	}
	return nil
}

// otherwise names an address that is written in another way.
func otherwise(addr, other string) string {
	if addr == other {
		return ""
	}
	return ", as " + other
}

// samePlace reports whether two addresses can't both be listened on, as far as
// that shows by how they are written. The port 0 is another one each time.
func samePlace(a, b string) bool {
	if strings.HasPrefix(a, "unix:") || strings.HasPrefix(b, "unix:") {
		return a == b
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEverywhere(hostA) && isEverywhere(hostB)
}

// isEverywhere reports whether a host stands for all addresses, of all families (package
// net).
func isEverywhere(host string) bool {
	return host == "" || host == "0.0.0.0" || host == "::"
}

func noneAlone(sources []string) error {
	if len(sources) > 1 && slices.Contains(sources, "none") {
		return errors.New("none must stand alone, without other sources")
	}
	if len(sources) == 0 {
		return errors.New("must hold at least one value; write none if requests carry no session id")
	}
	return nil
}

func startsWithProgram(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errors.New("must start with the program to run")
	}
	return nil
}
