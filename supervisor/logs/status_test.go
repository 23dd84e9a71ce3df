package logs

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func TestFittingStatus(t *testing.T) {
	for _, tt := range []struct {
		width int
		want  string
	}{
		{100, "waiting for 3 wörkers"}, {21, "waiting for 3 wörkers"}, {20, "3 wörkers"}, {9, "3 wörkers"}, {8, "3 wörker"}, {0, ""}, {-1, ""},
	} {
		if got := fitting([]string{"waiting for 3 wörkers", "3 wörkers"}, tt.width); got != tt.want {
			t.Errorf("in %d columns %q, want %q", tt.width, got, tt.want)
		}
	}
	if got := fitting(nil, 80); got != "" {
		t.Errorf("nothing is %q", got)
	}
}

// Lines come above the status line, whole, and at the end there is none.
func TestStatusLineTearsNoLine(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := newSpool(w, func(int, string) []byte { return nil }, func(error) {})
	s.setStatus("status 0")
	first := make([]byte, len("status 0"))
	if _, err := io.ReadFull(r, first); err != nil || string(first) != "status 0" {
		t.Fatalf("read %q, %v", first, err)
	}
	const n = 500
	go func() {
		defer w.Close()
		for i := range n {
			fmt.Fprintf(s, "line %d\n", i)
			s.setStatus(fmt.Sprint("status ", i+1))
		}
		s.close(t.Context())
	}()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	screen := screenAfter(string(first) + string(rest))
	if len(screen) != n+1 || screen[n] != "" {
		t.Fatalf("%d lines, the last one %q", len(screen), screen[len(screen)-1])
	}
	for i, line := range screen[:n] {
		if line != fmt.Sprint("line ", i) {
			t.Errorf("line %d is %q", i, line)
		}
	}
}

// screenAfter returns the lines of a screen to which text was written.
func screenAfter(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = line[strings.LastIndex(line, eraseLine)+1:]
		lines[i] = strings.TrimPrefix(lines[i], eraseLine[1:])
	}
	return lines
}

// What is no terminal, or is for programs, has no status line.
func TestStatusOnlyOnATerminal(t *testing.T) {
	_, err := written(t, "text", true, func(l *Logs) {
		if l.HasStatus() {
			t.Error("a file has a status line")
		}
		l.Status("waiting")
	})
	if err != "" {
		t.Errorf("stderr %q", err)
	}
}
