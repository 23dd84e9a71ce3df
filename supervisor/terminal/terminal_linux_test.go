package terminal

import (
	"os"
	"testing"

	"github.com/stickyd/stickyd/supervisor/terminal/terminaltest"
)

func TestWhatATerminalIs(t *testing.T) {
	_, tty := terminaltest.Open(t, 100, 30)
	if w, h, ok := Size(tty); !Is(tty) || w != 100 || h != 30 || !ok {
		t.Errorf("a terminal: %v, %d times %d, %v", Is(tty), w, h, ok)
	}
	_, unsized := terminaltest.Open(t, 0, 0)
	if _, _, ok := Size(unsized); !Is(unsized) || ok {
		t.Errorf("one without a size: %v, %v", Is(unsized), ok)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, f := range []*os.File{null, w} {
		if _, _, ok := Size(f); Is(f) || ok || Writer(f) != f {
			t.Errorf("%s is a terminal", f.Name())
		}
	}
}

func TestColourIsWanted(t *testing.T) {
	_, tty := terminaltest.Open(t, 80, 24)
	for _, tt := range []struct {
		term, noColor string
		want          bool
	}{{"xterm", "", true}, {"xterm", "1", false}, {"dumb", "", false}, {"", "", false}} {
		t.Setenv("TERM", tt.term)
		t.Setenv("NO_COLOR", tt.noColor)
		if got := Colour(tty); got != tt.want {
			t.Errorf("TERM=%s NO_COLOR=%s: %v", tt.term, tt.noColor, got)
		}
	}
}
