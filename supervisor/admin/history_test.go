package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
)

func TestLogs(t *testing.T) {
	ownPlace(t)
	f, _, ln := serve(t, "", port3000)
	if status, out, errs := command("logs"); status != 0 || out != "" || errs != "" {
		t.Errorf("none: exit status %d, %q, %q", status, out, errs)
	}
	f.print(1, "one", "two")
	f.print(2, "three")
	f.print(1, "four")
	f.status.Workers = []Worker{{Slot: 1}, {Slot: 3}}
	for words, want := range map[string]string{
		"logs":        "[1] one\n[1] two\n[2] three\n[1] four\n",
		"logs -n 2":   "[2] three\n[1] four\n",
		"logs -n 0":   "",
		"logs 1 -n 2": "[1] two\n[1] four\n",
		"logs -n 9 2": "[2] three\n",
		"logs 3":      "",

		"logs --lines 2 1": "[1] two\n[1] four\n",
		"logs --lines=1":   "[1] four\n",
		"logs -n1":         "[1] four\n",
		"logs 1 -n1":       "[1] four\n",
	} {
		if status, out, errs := command(strings.Fields(words)...); status != 0 || out != want || errs != "" {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
	for _, words := range []string{"logs -tn1", "logs --time --lines 1"} {
		_, out, errs := command(strings.Fields(words)...)
		at, rest, _ := strings.Cut(out, " ")
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || rest != "[1] four\n" || errs != "" {
			t.Errorf("%s: %v, %q, %q", words, err, out, errs)
		}
	}
	_, out, _ := command("logs", "--json", "-n1")
	var line LogLine
	if err := json.Unmarshal([]byte(out), &line); err != nil || line.Text != "four" || line.Slot != 1 || line.Time.IsZero() || !strings.HasSuffix(out, "}\n") {
		t.Errorf("in JSON: %v, %q", err, out)
	}
	for _, words := range []string{"logs 4", "logs -f 4", "logs --follow 4", "logs -fn3 4"} {
		if status, out, errs := command(strings.Fields(words)...); status != 1 || out != "" ||
			errs != "stickyd: there is no worker 4; they are numbered 1 to 3\n" {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
	goesOn := historyRequest{slot: 4, of: f.log.Lines().ID(), after: 1} // after an upgrade, and there is no slot 4 any more
	if resp, err := newClient(ln.Path()).do(context.Background(), "GET", "/v1/logs?"+goesOn.query(), nil); err != nil {
		t.Error("who goes on: ", err)
	} else {
		resp.Body.Close()
	}
	for i := range 3 * historyPiece {
		f.print(4, fmt.Sprint(i))
	}
	if _, out, _ := command("logs", "-n", "600"); strings.Count(out, "\n") != 600 || !strings.HasPrefix(out, "[4] 168\n[4] 169\n") {
		t.Errorf("600 lines: %.60q", out)
	}
}

func TestEvents(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.log.Info("worker ready", "slot", 1, "after", 3*time.Millisecond)
	f.log.Warn("worker died", "slot", 2, "exit", "signal: killed")
	status, out, errs := command("events", "-n", "1")
	if status != 0 || !strings.HasPrefix(out, "time=") || !strings.HasSuffix(out, "level=WARN msg=\"worker died\" slot=2 exit=\"signal: killed\"\n") {
		t.Errorf("exit status %d, %q, %q", status, out, errs)
	}
}

// Commands print as JSON what the log has as JSON, to the byte.
func TestJSONIsThatOfTheLog(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.log = logs.New("json", "info", file, file)
	f.log.Info("worker ready", "slot", 1, "after", 1500*time.Millisecond)
	f.log.With("slot", 2).Warn("worker died", "exit", "signal: killed", "sessions_lost", 0, "load", 0.5, "wanted", false,
		"err", errors.New("a\nb <c> \"d\" \x1b"), "at", time.Now(), "list", []string{"a b", "c"}, "none", []string{}, slog.Group("group", "x", 1))
	f.print(3, "a <line> \x1b[31m", "")
	f.log.Line(3, 103, logs.Stderr, []byte("bytes \xff"))
	f.log.Error("done")
	_, events, _ := command("events", "--json")
	_, lines, _ := command("logs", "--json")
	f.log.Close()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	var wantEvents, wantLines string
	for line := range strings.Lines(strings.ReplaceAll(string(text), `\ufffd`, "\ufffd")) { // which is the same in JSON
		if strings.Contains(line, `"msg":"worker output"`) {
			wantLines += line
		} else {
			wantEvents += line
		}
	}
	if events != wantEvents || strings.Count(events, "\n") != 3 {
		t.Errorf("events:\n%s\nthe log:\n%s", events, wantEvents)
	}
	if lines != wantLines || strings.Count(lines, "\n") != 3 {
		t.Errorf("lines:\n%s\nthe log:\n%s", lines, wantLines)
	}
	const shape = `^\{"time":"[^"]+","level":"INFO","msg":"worker ready","slot":1,"after":"1\.5s"\}\n`
	if !regexp.MustCompile(shape).MatchString(events) {
		t.Errorf("not as the package's doc has it: %s", events)
	}
}

// A following is a command that follows something, until the test ends.
type following struct {
	out       *lineWriter
	errs      bytes.Buffer // to be read after it has returned
	interrupt func()
	returned  chan int
	ended     chan struct{} // closed when it has
}

func follow(t *testing.T, args ...string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &following{
		out: &lineWriter{lines: make(chan string, 100)}, interrupt: cancel,
		returned: make(chan int, 1), ended: make(chan struct{}),
	}
	go func() {
		defer close(f.ended)
		f.returned <- perform(ctx, args, nil, f.out, &f.errs)
	}()
	t.Cleanup(func() {
		cancel()
		f.discard()
	})
	return f
}

// discard reads what it says until it has returned.
func (f *following) discard() {
	for {
		select {
		case <-f.out.lines:
		case <-f.ended:
			return
		}
	}
}

// says sees that it prints these lines next.
func (f *following) says(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got := f.next(t, want); got != want {
			t.Fatalf("said %q, want %q", got, want)
		}
	}
}

func (f *following) next(t *testing.T, want string) string {
	t.Helper()
	select {
	case got := <-f.out.lines:
		return got
	case <-f.ended:
	case <-time.After(time.Minute):
		t.Fatalf("never said %q", want)
	}
	select {
	case got := <-f.out.lines: // said before it ended
		return got
	default:
		t.Fatalf("ended before it said %q: %s", want, &f.errs)
		return ""
	}
}

func TestFollowing(t *testing.T) {
	ownPlace(t)
	f, s, _ := serve(t, "", port3000)
	f.print(1, "one", "two")
	f.print(2, "three")
	all, one := follow(t, "logs", "-f", "-n", "1"), follow(t, "logs", "-f", "1")
	all.says(t, "[2] three\n")
	one.says(t, "[1] one\n", "[1] two\n")
	f.print(1, "four")
	all.says(t, "[1] four\n")
	one.says(t, "[1] four\n")
	all.interrupt()
	if status := <-all.returned; status != 0 || all.errs.Len() > 0 {
		t.Errorf("after ^C: exit status %d, %s", status, &all.errs)
	}
	f.print(1, "last words")
	s.Finish(nil)
	one.says(t, "[1] last words\n")
	if status := <-one.returned; status != 0 || one.errs.Len() > 0 {
		t.Errorf("after the end of stickyd: exit status %d, %s", status, &one.errs)
	}
}

// A reader that does not read holds nobody up, and learns what it missed.
func TestSlowFollower(t *testing.T) {
	ownPlace(t)
	f, s, ln := serve(t, "", port3000)
	resp, err := newClient(ln.Path()).do(context.Background(), "GET", "/v1/logs?n=0&follow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	const lines = 5000
	text := strings.Repeat("x", 1000)
	for range lines { // many times what fits the ring and the socket; returns though nobody reads
		f.print(1, text)
	}
	go s.Finish(nil)
	seen, lost, last := uint64(0), uint64(0), uint64(0)
	for read := json.NewDecoder(bufio.NewReader(resp.Body)); ; {
		var line struct {
			Mark
			Line string
		}
		if err := read.Decode(&line); err != nil {
			t.Fatalf("%v after %d lines and %d lost", err, seen, lost)
		}
		switch {
		case line.End != "":
			if line.End != EndStopped || line.Seq != lines || seen+lost != lines || lost == 0 || seen == 0 {
				t.Errorf("%s: %d lines seen and %d lost, of %d; it ends after %d", line.End, seen, lost, lines, line.Seq)
			}
			return
		case line.Lost > 0:
			lost += line.Lost
		default:
			seen++
			if line.Seq != seen+lost || line.Seq <= last || line.Line != text {
				t.Fatalf("line %d: %.10q after %d and %d lost", line.Seq, line.Line, seen, lost)
			}
			last = line.Seq
		}
	}
}

func TestLostLinesAreMentioned(t *testing.T) {
	ownPlace(t)
	ln, err := Listen("", port3000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"lost\":12}\n{\"seq\":13,\"slot\":1,\"line\":\"x\"}\n")
	}()
	if status, out, errs := command("logs", "--control", ln.Path()); status != 0 || out != "[1] x\n" || errs != "stickyd: 12 lines dropped here, not read in time\n" {
		t.Errorf("exit status %d, %q, %q", status, out, errs)
	}
}

// soon makes commands look for a stickyd that is away more often.
func soon(t *testing.T, back time.Duration) {
	was, again, pause := comeBack, lookAgain, watchPause
	comeBack, lookAgain, watchPause = back, time.Millisecond, time.Millisecond
	t.Cleanup(func() { comeBack, lookAgain, watchPause = was, again, pause })
}

func TestFollowedOneDoesNotComeBack(t *testing.T) {
	ownPlace(t)
	soon(t, 20*time.Millisecond)
	f, s, ln := serve(t, "", port3000)
	f.print(1, "one")
	watching, followed := follow(t, "status", "--watch"), follow(t, "logs", "-f")
	followed.says(t, "[1] one\n")
	<-watching.out.lines
	go watching.discard()
	ln.Close()
	s.http.Close()
	for _, f := range []*following{followed, watching} {
		if status := <-f.returned; status != 1 || !strings.HasSuffix(f.errs.String(), "stickyd: stickyd has ended without saying so; was it killed?\n") {
			t.Errorf("exit status %d, %s", status, &f.errs)
		}
	}
	if n := strings.Count(watching.errs.String(), "stickyd does not answer; waiting for it"); n != 1 {
		t.Errorf("who watches was told %d times that there is no answer: %s", n, &watching.errs)
	}
}

// What the next process has not, because it never heard of the one before, is
// told from its beginning.
func TestFollowerOfAnotherHistory(t *testing.T) {
	ownPlace(t)
	soon(t, time.Minute)
	f, s, ln := serve(t, "", port3000)
	f.print(1, "one", "two", "three")
	all := follow(t, "logs", "-f", "-n", "1")
	all.says(t, "[1] three\n")
	path := ln.Path()
	ln.Close()
	s.http.Close()
	other, _, _ := serve(t, path, port3000)
	other.print(1, "of another")
	all.says(t, "[1] of another\n")
}
