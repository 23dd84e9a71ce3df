// Package logs writes what stickyd has to say and what its workers print, as
// text for people or as JSON, keeps the last of it in rings for who asks later,
// and never makes anybody wait for whoever reads it: a log reader that hangs must
// not stop supervision, nor a worker.
package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"time"
)

// Logs are stickyd's log and its workers' lines. Its methods may be called from
// any goroutine.
type Logs struct {
	*slog.Logger // on stderr

	json    bool
	level   slog.LevelVar
	lines   *Ring[Line]
	events  *Ring[Event]
	spools  [2]*spool // by stream; the same one twice where both are one file
	workers [2]*slog.Logger
}

// New returns logs of the given format, "text", "json" or "auto", which is text
// where stderr is a terminal, that leave out what is below level. Close must
// follow.
func New(format, level string, stdout, stderr *os.File) *Logs {
	l := &Logs{
		json:  format == "json" || format == "auto" && !IsTerminal(stderr),
		lines: newLineRing(), events: newEventRing(),
	}
	l.spools[Stderr] = newSpool(stderr, l.droppedNote)
	l.spools[Stdout] = l.spools[Stderr]
	if !sameFile(stdout, stderr) { // or their lines would change places
		l.spools[Stdout] = newSpool(stdout, l.droppedNote)
	}
	l.SetLevel(level)
	l.Logger = slog.New(tee{l.handler(l.spools[Stderr], &l.level), &recorder{ring: l.events}})
	for stream, s := range l.spools {
		l.workers[stream] = slog.New(l.handler(s, slog.LevelInfo))
	}
	return l
}

// SetLevel leaves out what is below level from now on. What the ring of events
// keeps does not depend on it.
func (l *Logs) SetLevel(level string) {
	var least slog.Level
	least.UnmarshalText([]byte(level)) // checked by config
	l.level.Set(least)
}

// Lines are the last lines that workers printed.
func (l *Logs) Lines() *Ring[Line] { return l.lines }

// Events are the last records of stickyd's log, from level info on.
func (l *Logs) Events() *Ring[Event] { return l.events }

// A State is what was kept of lines and events, for logs that go on in the place
// of others. It can be written as JSON.
type State struct {
	Lines  RingState[Line]
	Events RingState[Event]
}

// State returns what is kept.
func (l *Logs) State() State { return State{l.lines.State(), l.events.State()} }

// Restore puts what others kept before what is kept here. Nobody may have read
// that yet.
func (l *Logs) Restore(s State) {
	l.lines.Restore(s.Lines)
	l.events.Restore(s.Events)
}

// Line passes on a line that a worker printed, on the stream that it printed it
// to: with [slot] in front, or as attributes in JSON.
func (l *Logs) Line(slot, pid int, stream Stream, line []byte) {
	kept := Line{Time: time.Now(), Slot: slot, PID: pid, Stream: stream, Text: string(line)}
	l.lines.Add(kept)
	if l.json {
		l.workers[stream].Info("worker output", "slot", slot, "pid", pid, "stream", stream.String(), "line", kept.Text)
		return
	}
	text, _ := kept.AppendTo(nil)
	l.spools[stream].Write(text)
}

// patience is how long Close waits for a reader.
const patience = time.Second

// Last writes text to stderr behind everything else, as it stands, and closes.
func (l *Logs) Last(text string) {
	if text != "" {
		l.spools[Stderr].Write([]byte(text))
	}
	l.Close()
}

// Close returns when everything was written, after a second at the latest.
// What is logged after it is lost.
func (l *Logs) Close() {
	late, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range l.spools {
		s.close(late)
	}
}

func (l *Logs) handler(to io.Writer, least slog.Leveler) slog.Handler {
	if l.json {
		return slog.NewJSONHandler(to, &slog.HandlerOptions{Level: least, ReplaceAttr: durationWithUnit})
	}
	return slog.NewTextHandler(to, &slog.HandlerOptions{Level: least})
}

// durationWithUnit writes a duration as text logs do, "3ms". JSON's own form is
// a number of nanoseconds, which nobody who reads it can know.
func durationWithUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// droppedNote is the line that stands for those that were dropped.
func (l *Logs) droppedNote(lines int) []byte {
	var b bytes.Buffer
	slog.New(l.handler(&b, slog.LevelInfo)).Warn("log lines dropped: nobody read them in time", "lines", lines)
	return b.Bytes()
}

// IsTerminal reports whether what is written to f is read by a person.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func sameFile(a, b *os.File) bool {
	one, err1 := a.Stat()
	other, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}
