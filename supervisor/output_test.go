package supervisor

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// readLines writes text to a worker's stream and returns the lines that are
// passed on. The writing end stays open if the text is all that comes.
func readLines(t *testing.T, text string, keepOpen bool) (lines []string, last []string) {
	t.Helper()
	w := &Worker{}
	o := &output{worker: w, stream: logs.Stderr}
	child, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(child, text)
		if !keepOpen {
			child.Close()
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.copy(func(_ *Worker, s logs.Stream, line []byte) {
			if s != logs.Stderr {
				t.Error("stream", s)
			}
			lines = append(lines, string(line))
		})
	}()
	if keepOpen {
		o.finish(100 * time.Millisecond)
		child.Close()
	}
	<-done
	return lines, w.last.get()
}

func TestOutputIsPassedOnLineByLine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"a last line without an end", "a\nb", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"carriage returns", "a\r\n", []string{"a"}},
		{"a line that is too long comes in pieces", long + "rest\n", []string{long, "rest"}},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := readLines(t, tt.text, false); !slices.Equal(got, tt.want) {
				t.Errorf("%d lines %.100q, want %.100q", len(got), got, tt.want)
			}
		})
	}
}

func TestOutputOfADeadWorkerEndsThoughSomethingHoldsItOpen(t *testing.T) {
	if got, _ := readLines(t, "a\nb", true); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("lines %q", got)
	}
}

func TestLastLinesAreKept(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintln(&text, i)
	}
	_, last := readLines(t, text.String(), false)
	if len(last) != keptLines || last[0] != "10" || last[19] != "29" {
		t.Errorf("kept %q", last)
	}
}

// What was read of a line before a freeze is its beginning after it.
func TestHalfALineIsKeptOverAFreeze(t *testing.T) {
	w := &Worker{}
	o := &output{worker: w, stream: logs.Stdout}
	child, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	lines := make(chan string, 2)
	pass := func(_ *Worker, _ logs.Stream, line []byte) { lines <- string(line) }
	go o.copy(pass)
	io.WriteString(child, "one\nhalf") // one write, so one read
	if got := <-lines; got != "one" {
		t.Errorf("got %q", got)
	}
	o.interrupt()
	<-o.done
	again := &output{worker: w, stream: logs.Stdout}
	again.resume(o.state())
	go again.copy(pass)
	io.WriteString(child, " a line\n")
	if got := <-lines; got != "half a line" {
		t.Errorf("got %q, want the whole line", got)
	}
	child.Close()
	<-again.done
}
