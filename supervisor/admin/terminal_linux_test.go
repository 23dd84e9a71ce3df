package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudoterminal (pty(7)): what is written to tty can be read
// from screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

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
	screen, tty := terminal(t)
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

// What verbs say is the same in a terminal and in a pipe: lines.
func TestVerbsInATerminal(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.script = []string{"one", "two"}
	f.print(1, "a line")
	f.log.Info("an event")
	for _, words := range []string{"status", "logs", "events", "explain id", "restart", "scale 2", "drain 1", "reload"} {
		_, want, _ := command(strings.Fields(words)...)
		screen, tty := terminal(t)
		got := make(chan string)
		go func() {
			read, all := bufio.NewReader(screen), ""
			for range strings.Count(want, "\n") {
				line, _ := read.ReadString('\n')
				all += strings.ReplaceAll(line, "\r\n", "\n")
			}
			got <- all
		}()
		if status := perform(context.Background(), strings.Fields(words), nil, tty, io.Discard); status != 0 {
			t.Errorf("%s: exit status %d", words, status)
		}
		if got := <-got; got != want || strings.Contains(got, "\x1b") {
			t.Errorf("%s: in a terminal %q, else %q", words, got, want)
		}
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
		cols, lines uint16
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
		screen, tty := terminal(t)
		raw, err := tty.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: tt.lines, Col: tt.cols})
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(context.Background())
		returned := make(chan int, 1)
		go func() { returned <- perform(ctx, strings.Fields(tt.words), nil, tty, io.Discard) }()
		read, last := bufio.NewReader(screen), ""
		for range tt.want {
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
