package logs

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// The three forms of an event: JSON for programs, and, for people, text in a file
// and what is easier to read on a terminal.

// AppendJSON appends it as a line of JSON, as the package's doc shows it.
func (e *Event) AppendJSON(b []byte) []byte {
	text := bytes.NewBuffer(b)
	slog.NewJSONHandler(text, &slog.HandlerOptions{Level: e.Level}).Handle(context.Background(), e.record())
	return text.Bytes()
}

func (e *Event) record() slog.Record {
	r := slog.NewRecord(e.Time, e.Level, e.Message, 0)
	r.AddAttrs(e.Attrs...)
	return r
}

// AppendLine appends it as a line of words such as slot=1. What has several lines,
// as the last ones of a worker that has died, follows below.
func (e *Event) AppendLine(b []byte) []byte {
	first, below := e.split()
	return appendBelow(first.appendLogfmt(b), below)
}

func (e *Event) appendLogfmt(b []byte) []byte {
	text := bytes.NewBuffer(b)
	slog.NewTextHandler(text, &slog.HandlerOptions{Level: e.Level}).Handle(context.Background(), e.record())
	return text.Bytes()
}

// below is how far further lines stand below an event.
const below = "    "

func appendBelow(b []byte, lines []string) []byte {
	for _, line := range lines {
		if !strings.HasPrefix(line, below) {
			b = append(b, below...)
		}
		b = append(append(b, line...), '\n')
	}
	return b
}

// split takes all lines but the first out of message and attributes.
func (e *Event) split() (first Event, below []string) {
	first = e.mapped(func(text string) string {
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		below = append(below, lines[1:]...)
		return lines[0]
	})
	return first, below
}

// mapped returns an event with other texts of several lines.
func (e *Event) mapped(other func(text string) string) Event {
	m := *e
	if strings.Contains(m.Message, "\n") {
		m.Message = other(m.Message)
	}
	m.Attrs = slices.Clone(e.Attrs)
	for i, a := range m.Attrs {
		if a.Value.Kind() == slog.KindString && strings.Contains(a.Value.String(), "\n") {
			m.Attrs[i].Value = slog.StringValue(other(a.Value.String()))
		}
	}
	return m
}

// A Screen is how a terminal is written to.
type Screen struct {
	Width  int // columns
	Colour bool
}

// ScreenOf returns how the terminal f is written to now.
func ScreenOf(f *os.File) Screen {
	width, _, known := terminal.Size(f)
	if !known {
		width = terminal.UsualWidth
	}
	return Screen{width, terminal.Colour(f)}
}

// Colours and the like (ECMA-48, SGR).
const (
	dim    = "2"
	red    = "31"
	yellow = "33"
)

func (s Screen) in(style, text string) string {
	if !s.Colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// AppendShort appends it for a terminal: a short time, the level where it is not
// the usual one, and lines that are no wider than that is, unless a word is.
func (e *Event) AppendShort(b []byte, s Screen, now time.Time) []byte {
	first, further := e.split()
	const indent = 9 // a time, and a blank
	words := []string{s.in(dim, first.shortTime(now))}
	switch {
	case e.Level >= slog.LevelError:
		words = append(words, s.in(red, e.Level.String()))
	case e.Level >= slog.LevelWarn:
		words = append(words, s.in(yellow, e.Level.String()))
	case e.Level < slog.LevelInfo:
		words = append(words, s.in(dim, e.Level.String()))
	}
	words = append(words, strings.Split(first.Message, " ")...)
	for _, a := range first.Attrs {
		value := strings.Split(quoted(a.Value), " ")
		value[0] = s.in(dim, a.Key+"=") + value[0]
		words = append(words, value...)
	}
	for _, line := range terminal.Wrap(words, s.Width, indent) {
		b = append(append(b, line...), '\n')
	}
	return appendBelow(b, further)
}

// wrap wraps all lines of a text but those that are indented, as a worker's last
// ones.
func (s Screen) wrap(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, below) {
			lines = append(lines, line)
		} else {
			lines = append(lines, terminal.Wrap(strings.Split(line, " "), s.Width, 2)...)
		}
	}
	return strings.Join(lines, "\n")
}

// shortTime names the day only where it is another one.
func (e *Event) shortTime(now time.Time) string {
	switch at := e.Time.Local(); {
	case at.Year() != now.Year():
		return at.Format(time.DateTime)
	case at.YearDay() != now.YearDay():
		return at.Format(time.Stamp)
	default:
		return at.Format(time.TimeOnly)
	}
}

// quoted is a value in quotes if its end would not be seen without.
func quoted(v slog.Value) string {
	text := v.String()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool {
		return r == ' ' || r == '"' || !unicode.IsPrint(r)
	}) {
		return strconv.Quote(text)
	}
	return text
}
