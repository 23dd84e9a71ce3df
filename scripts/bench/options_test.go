package main

import (
	"strings"
	"testing"
	"time"
)

var words = []string{"new", "kept", "stickyd", "c-loop"}

func TestBadFlagsAreRefusedWithTheReason(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--rounds 0", "--rounds must be"},
		{"--rounds 101", "--rounds must be"},
		{"--time 99ms", "--time must be"},
		{"--time 2m", "--time must be"},
		{"--rate 0", "--rate must be"},
		{"--rate -5", "--rate must be"},
		{"--workers 1", "--workers must be"},
		{"--only new,fast", `--only knows no "fast", but new, kept, stickyd, c-loop`},
		{"now", `unexpected argument "now"`},
	} {
		if _, err := parseOptions(strings.Fields(tt.args), words); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestFlagsThatAreGivenWinOverQuick(t *testing.T) {
	o, err := parseOptions([]string{"--quick", "--rounds", "4"}, words)
	if err != nil || o.rounds != 4 || o.length >= time.Second {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestRateHoldsForBusyWorkersWhenItIsGiven(t *testing.T) {
	for args, want := range map[string]int{"": defaultBusyRate, "--rate 70": 70} {
		if o, err := parseOptions(strings.Fields(args), words); err != nil || o.busy != want {
			t.Errorf("%q: %d/s, %v; want %d/s", args, o.busy, err, want)
		}
	}
}

func TestOnlyChoosesAmongWordsOfOneKind(t *testing.T) {
	loads, fronts := words[:2], words[2:]
	for _, tt := range []struct {
		only, word string
		others     []string
		want       bool
	}{
		{"", "kept", loads, true},
		{"new", "kept", loads, false},
		{"new", "c-loop", fronts, true},
		{"new,stickyd", "c-loop", fronts, false},
		{"new,stickyd", "stickyd", fronts, true},
	} {
		o, err := parseOptions([]string{"--only", tt.only}, words)
		if got := o.wants(tt.word, tt.others); err != nil || got != tt.want {
			t.Errorf("--only %s: %s is wanted: %v, %v", tt.only, tt.word, got, err)
		}
	}
}
