package logs

import (
	"bufio"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/supervisor/terminal"
	"github.com/stickyd/stickyd/supervisor/terminal/terminaltest"
)

// onScreen returns what a terminal gets to show.
func onScreen(t *testing.T, format string, cols int, use func(*Logs)) string {
	t.Helper()
	screen, tty := terminaltest.Open(t, cols, 24)
	const end = "\x00" // nothing that is written to a terminal has it
	got := make(chan string)
	go func() {
		text, _ := bufio.NewReader(screen).ReadString(end[0])
		got <- strings.ReplaceAll(strings.TrimSuffix(text, end), "\r\n", "\n")
	}()
	l := New(format, "debug", tty, tty)
	use(l)
	l.Close()
	io.WriteString(tty, end)
	return <-got
}

func everything(l *Logs) {
	l.Info("listening", "addr", "127.0.0.1:3000")
	l.Warn("worker died", "slot", 1, "pid", 4100, "exit", "signal: killed", "up", "1h2m3s", "sessions_lost", 118)
	l.Error("not reached", "err", errors.New(strings.Repeat("this has many words. ", 20)+"\x1b[2J\u202e"))
	l.Debug("detail", "list", []string{"a b", "c"})
	l.Line(1, 4100, Stdout, []byte("\x1b[31mred \x1b]0;title\a\u009b2J\x7f \xff\r"))
	l.Last("stickyd: " + strings.Repeat("the end is near, ", 10) + "\x1b[2J\n    a line\n")
}

func TestLogOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	style := regexp.MustCompile("\x1b\\[[0-9]*m")
	for _, tt := range []struct {
		format, noColor string
		cols, width     int
	}{{"text", "", 80, 80}, {"auto", "", 100, 100}, {"auto", "1", 60, 60}, {"auto", "", 0, 80}, {"json", "", 80, 1 << 20}} {
		t.Setenv("NO_COLOR", tt.noColor)
		got := onScreen(t, tt.format, tt.cols, everything)
		plain := style.ReplaceAllString(got, "")
		if coloured := plain != got; coloured != (tt.noColor == "" && tt.format != "json") {
			t.Errorf("%+v: colours: %v: %q", tt, coloured, got)
		}
		if terminal.Visible(plain) != plain || strings.Count(plain, "title") != 1 {
			t.Errorf("%+v: the terminal gets %q", tt, plain)
		}
		widest := 0
		for line := range strings.SplitSeq(plain, "\n") {
			widest = max(widest, terminal.Width(line))
		}
		if widest > tt.width {
			t.Errorf("%+v: a line of %d columns:\n%s", tt, widest, plain)
		}
		if tt.format == "json" {
			continue
		}
		for _, want := range []string{
			`^\d\d:\d\d:\d\d listening addr=127\.0\.0\.1:3000\n`, `\n\d\d:\d\d:\d\d WARN worker died slot=1 `, `\n\[1\] red \\x1b\]0;title\\x07\\u009b2J\\u007f \\xff\\x0d\n`,
			`\nstickyd: the end [^\n]+\n  [^ ][^\n]+\n(  [^ ][^\n]+\n)*    a line\n$`,
		} {
			if !regexp.MustCompile(want).MatchString(plain) {
				t.Errorf("%+v: no line is as %s:\n%s", tt, want, plain)
			}
		}
	}
}

// Elsewhere nothing is escaped, coloured or wrapped.
func TestLogElsewhere(t *testing.T) {
	t.Setenv("TERM", "xterm")
	const line = "\x1b[31mred \x1b]0;title\a\u009b2J\x7f \xff"
	out, errs := written(t, "text", true, everything)
	if out != "[1] "+line+"\r\n" {
		t.Errorf("stdout %q", out)
	}
	if !strings.Contains(errs, ` level=INFO msg=listening addr=127.0.0.1:3000`) || strings.Count(errs, "\n") != 5 || !strings.HasSuffix(errs, "the end is near, \x1b[2J\n    a line\n") {
		t.Errorf("stderr %q", errs)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if l := New("auto", "info", null, null); !l.json {
		t.Error("/dev/null is taken for a terminal")
	} else {
		l.Close()
	}
}
