package cli

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
)

func someFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"f", "follow", "t"} {
		flags.Bool(name, false, "")
	}
	for _, name := range []string{"n", "lines"} {
		flags.String(name, "", "")
	}
	return flags
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-n5", "-n 5"},
		{"-fn5 2", "-f -n 5 2"},
		{"-tfn 3", "-t -f -n 3"},
		{"-fn=3", "-f -n 3"},
		{"-n=3 -f=false", "-n=3 -f=false"},
		{"-n-1", "-n -1"},
		{"-follow -lines 3 --lines=4", "-follow -lines 3 --lines=4"},
		{"-n -ft", "-n -ft"},
		{"--lines -ft -ft", "--lines -ft -f -t"},
		{"-fx", "-fx"},
		{"-folow", "-folow"},
		{"-nines", "-nines"}, // rather a slip in --lines
		{"--ft", "--ft"},
		{"- -ft", "- -f -t"},
		{"-ft -- -ft", "-f -t -- -ft"},
		{"", ""},
	} {
		if got := Spread(someFlags(), strings.Fields(tt.args), true); strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q", tt.args, got)
		}
	}
	if got := Spread(someFlags(), []string{"-ft", "x", "-ft"}, false); !slices.Equal(got, []string{"-f", "-t", "x", "-ft"}) {
		t.Errorf("of words of a command: %q", got)
	}
}

func TestUnknownIsWhatWasWritten(t *testing.T) {
	for args, want := range map[string]string{
		"-fx":             "-fx",
		"-f --bogus=7 -x": "--bogus",
		"--linse 5 more":  "--linse",
	} {
		flags := someFlags()
		words := strings.Fields(args)
		if err := flags.Parse(words); err == nil {
			t.Fatalf("%s: no error", args)
		}
		if word, name := Unknown(flags, words); word != want || name != strings.TrimLeft(want, "-") {
			t.Errorf("%s: %s, %s", args, word, name)
		}
	}
	if got := Similar(someFlags(), "linse"); got != "; did you mean --lines?" {
		t.Error(got)
	}
}
