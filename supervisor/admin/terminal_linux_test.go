package admin

import (
	"bufio"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
	"github.com/stickyd/stickyd/supervisor/terminal/terminaltest"
)

// In a terminal a status that is watched is drawn over the one before; what goes
// into a pipe has no control sequences.
func TestWatchingRedrawsInATerminal(t *testing.T) {
	ownPlace(t)
	soon(t, time.Minute)
	serve(t, "", port3000)
	pipe, piped, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer piped.Close()
	screen, tty := terminaltest.Open(t, 0, 0)
	for _, tt := range []struct {
		from, to        *os.File
		before, between string
	}{
		{screen, tty, clearAll, clearAll},
		{pipe, piped, "", "\n"},
	} {
		ctx, interrupt := context.WithCancel(context.Background())
		returned := make(chan int, 1)
		go func() { returned <- perform(ctx, []string{"status", "--watch"}, nil, tt.to, io.Discard) }()
		read := bufio.NewReader(tt.from)
		var text strings.Builder
		for range 5 { // two of two lines, and what is between them
			line, err := read.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(strings.ReplaceAll(line, "\r\n", "\n"))
		}
		go io.Copy(io.Discard, read) // what it says until it sees the interrupt
		interrupt()
		<-returned
		parts := strings.Split(text.String(), "stickyd v1, pid 7,")
		if parts[0] != tt.before || !strings.HasSuffix(parts[1], tt.between) || strings.Count(text.String(), "\x1b") != 2*strings.Count(text.String(), clearAll) {
			t.Errorf("got %q", text.String())
		}
	}
}

// onScreen performs a command in a terminal, and returns what that gets to show.
func onScreen(t *testing.T, words ...string) string {
	t.Helper()
	screen, tty := terminaltest.Open(t, 80, 24)
	const end = "\x00" // nothing that is written to a terminal has it
	got := make(chan string)
	go func() {
		text, _ := bufio.NewReader(screen).ReadString(end[0])
		got <- strings.ReplaceAll(strings.TrimSuffix(text, end), "\r\n", "\n")
	}()
	if status := perform(context.Background(), words, nil, tty, tty); status != 0 {
		t.Errorf("%s: exit status %d", words, status)
	}
	io.WriteString(tty, end)
	return <-got
}

// What verbs say is the same in a terminal and in a pipe, lines; but for events,
// which are as the log is there.
func TestVerbsInATerminal(t *testing.T) {
	ownPlace(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	f, _, _ := serve(t, "", port3000)
	f.script = []string{"one", "two"}
	f.print(1, "a line")
	f.log.Info("an event", "slot", 1)
	for _, words := range []string{"status", "logs", "logs --json", "events --json", "explain id", "restart", "scale 2", "drain 1", "reload"} {
		_, want, _ := command(strings.Fields(words)...)
		if got := onScreen(t, strings.Fields(words)...); got != want || strings.Contains(got, "\x1b") {
			t.Errorf("%s: in a terminal %q, else %q", words, got, want)
		}
	}
	_, line, _ := command("events")
	at, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	then, err := time.Parse("2006-01-02T15:04:05.000Z07:00", at)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := onScreen(t, "events"), then.Local().Format(time.TimeOnly)+" an event slot=1\n"; got != want {
		t.Errorf("events in a terminal: %q, want %q", got, want)
	}
}

// Nothing that workers, clients and their programs make up acts on the terminal;
// what goes elsewhere is as it was.
func TestNothingActsOnTheTerminal(t *testing.T) {
	ownPlace(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	const evil, harmless = "\x1b]0;title\a\u009b2J\u202e\x7f", `\x1b]0;title\x07\u009b2J\u202e\u007f`
	f, _, _ := serve(t, "", port3000)
	f.status.Operation, f.status.Version, f.status.Listen = evil, "v"+evil, []string{"unix:/" + evil}
	f.status.Workers = []Worker{{Slot: 1, State: "waiting", Why: evil, LastExit: evil}}
	f.script = []string{evil}
	f.explanation.State = evil
	f.print(1, evil)
	f.log.Info("told", "err", evil)
	style := regexp.MustCompile("\x1b\\[[0-9]*m")
	for _, words := range []string{"status", "logs", "logs -t", "explain id", "restart", "cancel", "status --json", "logs --json", "events", "events --json"} {
		got := style.ReplaceAllString(onScreen(t, strings.Fields(words)...), "")
		if terminal.Visible(got) != got || !strings.Contains(got, "title") {
			t.Errorf("%s: the terminal gets %q", words, got)
		}
		_, raw, _ := command(strings.Fields(words)...)
		if strings.Contains(words, "events") || strings.Contains(words, "json") {
			continue // the log's forms have escaped some of it
		}
		if !strings.Contains(got, harmless) {
			t.Errorf("%s: %q is not shown in %q", words, harmless, got)
		}
		if !strings.Contains(raw, evil) {
			t.Errorf("%s: in a pipe %q", words, raw)
		}
	}
	colours := "\x1b[1;31mred"
	f.print(1, colours)
	if got, want := onScreen(t, "logs", "-n", "1"), "[1] "+colours+"\x1b[0m\n"; got != want {
		t.Errorf("colours: %q, want %q", got, want)
	}
	t.Setenv("NO_COLOR", "1")
	if got, want := onScreen(t, "logs", "-n", "1"), "[1] red\n"; got != want {
		t.Errorf("colours that nobody wants: %q, want %q", got, want)
	}
}

// A status that is watched fits the terminal, and anywhere else all of it is
// printed.
func TestWatchingFitsTheTerminal(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	for i := range 50 {
		f.status.Workers = append(f.status.Workers, Worker{Slot: i + 1, State: "ready", PID: 100 + i, Untaken: 7})
	}
	for _, tt := range []struct {
		words       string
		cols, lines int
		want        int // lines
		last        string
	}{
		{"status --watch", 80, 24, 23, "… 30 more: 30 ready"},
		{"status --watch", 80, 1, 4, "… 49 more: 49 ready"}, // as little as makes sense
		{"status --watch", 80, 100, 52, "50 "},
		{"status", 80, 24, 53, "stickyd v1, pid 7,"}, // the head is out of sight, so it comes again
		{"status", 80, 53, 52, "50 "},
		{"status --watch", 0, 0, 52, "50 "}, // nobody knows its size
	} {
		screen, tty := terminaltest.Open(t, tt.cols, tt.lines)
		ctx, interrupt := context.WithCancel(context.Background())
		returned := make(chan int, 1)
		go func() { returned <- perform(ctx, strings.Fields(tt.words), nil, tty, io.Discard) }()
		read, last := bufio.NewReader(screen), ""
		for range tt.want {
			var err error
			if last, err = read.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasPrefix(last, tt.last) {
			t.Errorf("%s in %d lines: line %d is %q", tt.words, tt.lines, tt.want, last)
		}
		interrupt()
		go io.Copy(io.Discard, read)
		<-returned
	}
}
