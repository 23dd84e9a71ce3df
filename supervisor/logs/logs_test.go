package logs

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written returns what logs write to two files, or twice to one.
func written(t *testing.T, format string, two bool, use func(*Logs)) (stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	out, err := open("out"), open("err")
	if !two {
		out = open("err")
	}
	l := New(format, "info", out, err)
	use(l)
	l.Close()
	read := func(f *os.File) string {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return read(out), read(err)
}

func TestLinesGoToTheStreamThatTheyCameFrom(t *testing.T) {
	out, err := written(t, "text", true, func(l *Logs) {
		l.Line(3, 7, Stdout, []byte("to out"))
		l.Line(4, 8, Stderr, []byte("to err"))
		l.Info("worker ready", "after", 3*time.Millisecond)
		l.Debug("not at this level")
	})
	if out != "[3] to out\n" {
		t.Errorf("stdout %q", out)
	}
	lines := strings.Split(err, "\n")
	if len(lines) != 3 || lines[0] != "[4] to err" || !strings.HasSuffix(lines[1], `level=INFO msg="worker ready" after=3ms`) {
		t.Errorf("stderr %q", lines)
	}
}

func TestJSON(t *testing.T) {
	out, err := written(t, "auto", true, func(l *Logs) { // a file is no terminal
		l.Line(3, 7, Stdout, []byte("a \"line\""))
		l.Info("worker ready", "after", 3*time.Millisecond)
	})
	var line struct {
		Msg, Stream, Line, After string
		Slot, PID                int
	}
	if e := json.Unmarshal([]byte(out), &line); e != nil || line.Msg != "worker output" ||
		line.Stream != "stdout" || line.Line != `a "line"` || line.Slot != 3 || line.PID != 7 {
		t.Errorf("%v: %s", e, out)
	}
	if e := json.Unmarshal([]byte(err), &line); e != nil || line.Msg != "worker ready" || line.After != "3ms" {
		t.Errorf("%v: %s", e, err)
	}
}

func TestOrderIsKeptWhereBothStreamsAreOneFile(t *testing.T) {
	var want strings.Builder
	_, err := written(t, "text", false, func(l *Logs) {
		for i := range 1000 {
			l.Line(1, 1, Stream(i%2), fmt.Append(nil, i))
			fmt.Fprintf(&want, "[1] %d\n", i)
		}
	})
	if err != want.String() {
		t.Error("lines changed places")
	}
}

func TestNobodyWaitsForAReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := New("text", "info", w, w)
	line := []byte(strings.Repeat("x", 1000))
	const lines = 2 * spoolSize / 1000
	for range lines { // returns though nobody reads
		l.Line(1, 1, Stdout, line)
	}
	l.Close() // after its time limit
	read := bufio.NewScanner(r)
	passed, dropped := 0, 0
	for passed+dropped < lines && read.Scan() {
		if strings.HasPrefix(read.Text(), "[1] ") {
			passed++
			continue
		}
		_, count, _ := strings.Cut(read.Text(), "lines=")
		n := 0
		fmt.Sscan(count, &n)
		dropped += n
	}
	w.Close()
	if passed < spoolSize/2000 || dropped == 0 || passed+dropped != lines {
		t.Errorf("%d lines were passed on and %d dropped, of %d", passed, dropped, lines)
	}
	io.Copy(io.Discard, r)
}
