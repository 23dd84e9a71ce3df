package logs

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
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
	repeats *repeats
}

// New returns logs of the given format, "text", "json" or "auto", which is text
// where stderr is a terminal, that leave out what is below level. Close must
// follow.
func New(format, level string, stdout, stderr *os.File) *Logs {
	l := &Logs{
		json:  format == "json" || format == "auto" && !terminal.Is(stderr),
		lines: newLineRing(), events: newEventRing(),
	}
	l.SetLevel(level)
	l.Logger = slog.New(&handler{logs: l})
	l.repeats = newRepeats(l.show, func(times int) {
		l.Warn("workers that did not get ready printed the same again", "times", times)
	})
	l.spools[Stderr] = l.newSpool(stderr)
	l.spools[Stdout] = l.spools[Stderr]
	if !sameFile(stdout, stderr) { // or their lines would change places
		l.spools[Stdout] = l.newSpool(stdout)
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
	Lines     RingState[Line]
	Events    RingState[Event]
	Unwritten [2]SpoolState // by stream
}

// State returns what is kept, and gives away what could not be written before
// Close, if that has returned.
func (l *Logs) State() State {
	s := State{Lines: l.lines.State(), Events: l.events.State()}
	for stream, spool := range l.spools {
		s.Unwritten[stream] = spool.state()
	}
	return s
}

// Restore puts what others kept before what is kept here. Nobody may have read
// that yet.
func (l *Logs) Restore(s State) {
	l.lines.Restore(s.Lines)
	l.events.Restore(s.Events)
	for stream, spool := range l.spools {
		spool.restore(s.Unwritten[stream])
	}
}

// Starting says that a worker starts, before its first line: what those print that
// die before they are ready is not shown again and again, see repeats. Ready or
// Ended follows.
func (l *Logs) Starting(slot, pid int) { l.repeats.begin(self{slot, pid}) }

// Ready says that a worker is ready. It need not have been Starting.
func (l *Logs) Ready(slot, pid int) { l.repeats.ready(self{slot, pid}) }

// Ended says that no line of a worker comes any more. It need not have been
// Starting.
func (l *Logs) Ended(slot, pid int) { l.repeats.end(self{slot, pid}) }

// Line passes on a line that a worker printed, on the stream that it printed it
// to: with [slot] in front, or as attributes in JSON.
func (l *Logs) Line(slot, pid int, stream Stream, line []byte) {
	kept := Line{Time: time.Now().Round(0), Slot: slot, PID: pid, Stream: stream, Text: string(line)}
	l.lines.Add(kept)
	l.repeats.print(kept)
}

func (l *Logs) show(line *Line) {
	if l.json {
		l.spools[line.Stream].Write(line.AppendJSON(nil))
		return
	}
	l.spools[line.Stream].Write(line.AppendLine(nil))
}

// keptLevel is the least that the ring of events keeps.
const keptLevel = slog.LevelInfo

func (l *Logs) event(e Event) {
	if e.Level >= keptLevel {
		l.events.Add(e)
	}
	if e.Level < l.level.Level() {
		return
	}
	to := l.spools[Stderr]
	if !l.json {
		e = e.mapped(func(text string) string {
			return l.repeats.omit(text, func(s Stream) bool { return l.spools[s] != to })
		})
	}
	to.Write(l.form(&e, to.file))
}

// form is an event as a file has it.
func (l *Logs) form(e *Event, f *os.File) []byte {
	if l.json {
		return e.AppendJSON(nil)
	}
	if terminal.Is(f) {
		return e.AppendShort(nil, ScreenOf(f), time.Now())
	}
	return e.AppendLine(nil)
}

// patience is how long Close waits for a reader.
const patience = time.Second

// Last writes text to stderr behind everything else, and closes. On a terminal it
// is wrapped, but for lines that are indented.
func (l *Logs) Last(text string) {
	l.repeats.close()
	to := l.spools[Stderr]
	if to.terminal {
		text = ScreenOf(to.file).wrap(text)
	}
	if text != "" {
		to.Write([]byte(text))
	}
	l.Close()
}

// Close returns when everything was written, after a second at the latest.
// What is logged after it is lost.
func (l *Logs) Close() {
	l.repeats.close()
	late, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range l.spools {
		s.close(late)
	}
}

func (l *Logs) newSpool(f *os.File) *spool {
	note := func(lost int, why string) []byte {
		e := Event{Time: time.Now(), Level: slog.LevelWarn, Message: "log lines dropped: nobody read them in time", Attrs: Attrs{slog.Int("lines", lost)}}
		if why != "" {
			e.Message = "log lines dropped: they could not be written"
			e.Attrs = append(e.Attrs, slog.String("err", why))
		}
		return l.form(&e, f)
	}
	return newSpool(f, note, func(err error) { l.troubled(f, err) })
}

// troubled keeps for stickyd events that the log can't be written, or can again.
func (l *Logs) troubled(f *os.File, err error) {
	e := Event{Time: time.Now().Round(0), Level: slog.LevelInfo, Message: "the log is written again", Attrs: Attrs{slog.String("file", f.Name())}}
	if err != nil {
		e.Level, e.Message = slog.LevelError, "the log cannot be written"
		e.Attrs = append(e.Attrs, slog.String("err", errno(err)))
	}
	l.events.Add(e)
}

func sameFile(a, b *os.File) bool {
	one, err1 := a.Stat()
	other, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}
