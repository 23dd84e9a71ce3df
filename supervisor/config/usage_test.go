package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestHelpFitsTheTerminal(t *testing.T) {
	if lines := strings.Count(Usage(false), "\n"); lines > 24 {
		t.Errorf("the short help has %d lines; a terminal has 24", lines)
	}
	for line := range strings.Lines(Usage(true) + Usage(false) + DemoUsage) {
		if len(line) > 80+len("\n") {
			t.Errorf("longer than 80: %s", line)
		}
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func TestHelpShowsEveryOption(t *testing.T) {
	for _, o := range options {
		label := "--" + o.name + " "
		if o.place == fileOnly {
			label = " " + o.key() + " "
		}
		if o.test {
			if strings.Contains(Usage(true)+Reference(), o.name) {
				t.Errorf("%s is shown, and only for tests", o.name)
			}
			continue
		}
		if !strings.Contains(Usage(true), label) {
			t.Errorf("help --all lacks %q", label)
		}
		if o.common && !strings.Contains(Usage(false), label) {
			t.Errorf("the short help lacks %q", label)
		}
		for _, part := range []string{o.help, o.def, o.kind.allowed} {
			if !strings.Contains(Usage(true), part) {
				t.Errorf("help --all lacks %q of %s", part, o.name)
			}
		}
	}
}

func TestHelpShowsWhatIsNoOption(t *testing.T) {
	for _, word := range []string{"stickyd [flags] -- COMMAND", "stickyd demo, version, help --all",
		"TERM", "INT", "0 stopped as asked", "1 failed", "2 bad usage"} {
		if !strings.Contains(Usage(false), word) {
			t.Errorf("the short help lacks %q", word)
		}
	}
}

func TestExamplesOfTheHelpAreValid(t *testing.T) {
	_, examples, _ := strings.Cut(Usage(false), "Examples:\n")
	file := write(t, `command = ["./myserver"]`)
	for line := range strings.Lines(examples) {
		words := strings.Fields(line)
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "stickyd.toml", file)
		}
		load(t, words[1:]...)
	}
}

func TestReferenceSetsEveryKeyToItsDefault(t *testing.T) {
	settings, err := fromText("reference.toml", Reference())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for _, s := range settings {
		if s.err != nil {
			t.Fatal(s.err)
		}
		got[s.option.key()] = s.texts
	}
	for _, o := range options {
		texts, found := got[o.key()]
		def := o.def
		if o.kind.form == formBoolean {
			def = "false"
		}
		switch {
		case o.place == flagOnly || o.test || o.kind.form == formTable || o.kind.form == formArgv:
			if found {
				t.Errorf("%s is set", o.key())
			}
		case !found:
			t.Errorf("%s is missing", o.key())
		case def == "" && len(texts) > 0, def != "" && !slices.Equal(texts, []string{def}):
			t.Errorf("%s = %q, but the default is %q", o.key(), texts, def)
		}
	}
	var raw struct{ Env map[string]string }
	if meta, err := toml.Decode(Reference(), &raw); err != nil || !meta.IsDefined("env") || len(raw.Env) > 0 {
		t.Errorf("env is not an empty table: %v, %v", raw.Env, err)
	}
}

func TestReferenceIsValidWithItsExamples(t *testing.T) {
	example := regexp.MustCompile(`(?m)^#(\w+ = )`)
	text := example.ReplaceAllString(Reference(), "$1")
	if c := load(t, "--config", write(t, text)); len(c.Command) == 0 || len(c.Env) == 0 {
		t.Errorf("no example of a command or of a variable: %+v", c)
	}
}

func TestReferenceExplainsWhatIsAllowed(t *testing.T) {
	comments := make(map[string]string) // of each key: the lines right above it
	for paragraph := range strings.SplitSeq(Reference(), "\n\n") {
		comment, assigned := "", regexp.MustCompile(`^#?(\w+) = |^\[(env)\]$`)
		for line := range strings.Lines(paragraph) {
			if m := assigned.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				comments[m[1]+m[2]] = comment
			}
			comment += strings.TrimPrefix(line, "#")
		}
	}
	word := regexp.MustCompile(`[^\s,;"]+`)
	for _, o := range options {
		if o.place == flagOnly || o.test {
			continue
		}
		words := word.FindAllString(comments[o.key()], -1)
		if len(words) == 0 {
			t.Errorf("%s has no comment", o.key())
		}
		for i := range words {
			words[i] = strings.Trim(words[i], ".:()")
		}
		for _, want := range word.FindAllString(o.kind.allowed, -1) {
			if want != "or" && !slices.Contains(words, strings.Trim(want, ".:()")) {
				t.Errorf("the comment of %s lacks %q of %q", o.key(), want, o.kind.allowed)
			}
		}
	}
}
