package logs

import (
	"fmt"
	"log/slog"
	"time"
)

// A Stream is where a worker printed a line.
type Stream int

// The streams.
const (
	Stdout Stream = iota
	Stderr
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// MarshalText writes its name, for JSON.
func (s Stream) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Stream) UnmarshalText(text []byte) error {
	for _, *s = range []Stream{Stdout, Stderr} {
		if s.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("no stream: %q", text)
}

// A Line is what a worker printed.
type Line struct {
	Time   time.Time `json:"time"`
	Slot   int       `json:"slot"`
	PID    int       `json:"pid"`
	Stream Stream    `json:"stream"`
	Text   string    `json:"line"` // without its end
}

// AppendLine appends it as text has it.
func (l *Line) AppendLine(b []byte) []byte {
	return fmt.Appendf(b, "[%d] %s\n", l.Slot, l.Text)
}

// AppendJSON appends it as JSON has it, as the package's doc shows it.
func (l *Line) AppendJSON(b []byte) []byte {
	e := Event{Time: l.Time, Message: "worker output", Attrs: Attrs{
		slog.Int("slot", l.Slot), slog.Int("pid", l.PID), slog.String("stream", l.Stream.String()), slog.String("line", l.Text),
	}}
	return e.AppendJSON(b)
}

// What is kept of workers' lines.
const (
	keptLines     = 10_000
	keptLineBytes = 1 << 20
	lineOverhead  = 64 // bytes that a line costs besides its text
)

func newLineRing() *Ring[Line] {
	return newRing(keptLines, keptLineBytes, func(l *Line) int { return lineOverhead + len(l.Text) })
}
