package logs

import (
	"fmt"
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

// AppendTo appends it as the text log has it.
func (l *Line) AppendTo(b []byte) ([]byte, error) {
	return fmt.Appendf(b, "[%d] %s\n", l.Slot, l.Text), nil
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
