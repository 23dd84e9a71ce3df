package config

import (
	"reflect"
	"testing"
)

func TestChangesAreNamedByWhatTheyTake(t *testing.T) {
	old := load(t, "--workers", "2", "--", "./myserver")
	now := load(t, "--workers", "3", "--drain-timeout", "1m", "--listen", ":4000", "--poller", "runtime", "--env", "A=1", "--", "./other")
	want := map[Effect][]string{
		Swapped: {"drain_timeout"}, Scaled: {"workers"}, Listened: {"listen"},
		Replaced: {"env", "command"}, OnUpgrade: {"poller"},
	}
	if got := Changes(old, now); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Changes(old, old); len(got) != 0 {
		t.Errorf("nothing changed, and %v did", got)
	}
}

func TestKeptValuesAreThoseOfBefore(t *testing.T) {
	old := load(t, "--workers", "2", "--", "./myserver")
	now := load(t, "--workers", "3", "--drain-timeout", "1m", "--", "./other")
	Keep(now, old, Scaled, Replaced)
	if want := (map[Effect][]string{Swapped: {"drain_timeout"}}); !reflect.DeepEqual(Changes(old, now), want) {
		t.Errorf("what still differs is %v", Changes(old, now))
	}
}

func TestEveryOptionIsCompared(t *testing.T) {
	for i := range options {
		if k := options[i].kind; k.same == nil || k.copy == nil {
			t.Errorf("%s is not", options[i].name)
		}
	}
}
