package logs

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)

// What has several lines is one attribute for programs, and lines for people.
func TestSeveralLinesFollowBelow(t *testing.T) {
	e := Event{Time: noon.UTC(), Level: slog.LevelError, Message: "not all workers were replaced", Attrs: Attrs{
		slog.Int("n", 1), slog.String("err", "exit status 1; its last lines:\n    app.js:3\n    SyntaxError\nrestart takes it back\n"), slog.Bool("b", true),
	}}
	at := noon.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	const below = "    app.js:3\n    SyntaxError\n    restart takes it back\n"
	want := "time=" + at + ` level=ERROR msg="not all workers were replaced" n=1 err="exit status 1; its last lines:" b=true` + "\n" + below
	if got := string(e.AppendLine(nil)); got != want {
		t.Errorf("in a file %q, want %q", got, want)
	}
	want = "12:00:00 ERROR not all workers were replaced n=1\n         err=\"exit status 1; its last lines:\" b=true\n" + below
	if got := string(e.AppendShort(nil, Screen{Width: 52}, noon)); got != want {
		t.Errorf("on a terminal %q, want %q", got, want)
	}
	want = `{"time":"` + noon.UTC().Format(time.RFC3339) + `","level":"ERROR","msg":"not all workers were replaced","n":1,` +
		`"err":"exit status 1; its last lines:\n    app.js:3\n    SyntaxError\nrestart takes it back\n","b":true}` + "\n"
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("as JSON %q, want %q", got, want)
	}
}

func TestShortEvents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		e      Event
		screen Screen
		want   string
	}{
		{"the usual level is not named", Event{Time: noon, Message: "worker ready", Attrs: Attrs{slog.Int("slot", 1), slog.String("after", "3ms")}},
			Screen{Width: 80}, "12:00:00 worker ready slot=1 after=3ms\n"},
		{"others are", Event{Time: noon, Level: slog.LevelWarn, Message: "m"}, Screen{Width: 80}, "12:00:00 WARN m\n"},
		{"debug", Event{Time: noon, Level: slog.LevelDebug, Message: "m"}, Screen{Width: 80}, "12:00:00 DEBUG m\n"},
		{"yesterday", Event{Time: noon.AddDate(0, 0, -1), Message: "m"}, Screen{Width: 80}, "Jan  1 12:00:00 m\n"},
		{"a year ago", Event{Time: noon.AddDate(-1, 0, 0), Message: "m"}, Screen{Width: 80}, "2025-01-02 12:00:00 m\n"},
		{"values that need quotes", Event{Time: noon, Message: "m", Attrs: Attrs{slog.String("a", ""), slog.String("b", "x y"), slog.String("c", "\x1b"), slog.String("d", `"`)}},
			Screen{Width: 80}, `12:00:00 m a="" b="x y" c="\x1b" d="\""` + "\n"},
		{"values that need none", Event{Time: noon, Message: "m", Attrs: Attrs{slog.String("url", "http://localhost:3000/?a=b"), slog.String("é", "é")}},
			Screen{Width: 80}, "12:00:00 m url=http://localhost:3000/?a=b é=é\n"},
		{"as wide as the terminal", Event{Time: noon, Message: "one two", Attrs: Attrs{slog.String("k", "three four")}},
			Screen{Width: 16}, "12:00:00 one two\n         k=\"three\n         four\"\n"},
		{"a word that is wider", Event{Time: noon, Message: "m", Attrs: Attrs{slog.String("path", strings.Repeat("x", 20))}},
			Screen{Width: 20}, "12:00:00 m\n         path=xxxxxxxxxxxxxxxxxxxx\n"},
		{"colours", Event{Time: noon, Level: slog.LevelError, Message: "m n", Attrs: Attrs{slog.Int("k", 1)}},
			Screen{Width: 20, Colour: true}, "\x1b[2m12:00:00\x1b[0m \x1b[31mERROR\x1b[0m m n\n         \x1b[2mk=\x1b[0m1\n"},
	} {
		if got := string(tt.e.AppendShort(nil, tt.screen, noon)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
