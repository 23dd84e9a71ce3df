package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// busy is a status with everything in it.
func busy() *Status {
	return &Status{
		Version: "v1.2", PID: 70, Started: noon.Add(-50 * time.Hour), Listen: []string{":3000", "unix:/a"}, Sessions: 1234, Stopping: true,
		Operation: "rolling restart: 1 of 3 slots",
		Sources:   []Source{{"header:Mcp-Session-Id", 1250, 1234, 12, 4}, {"query:sid", 0, 0, 0, 0}},
		Hint:      "no request carries a session id in query:sid: is it --session cookie:connect.sid?",
		Workers: []Worker{
			{Slot: 1, State: "draining", PID: 60, Generation: 3, Started: noon.Add(-26 * time.Hour), Sessions: 12, Why: "restarted",
				DrainsUntil: noon.Add(25 * time.Second), ResidentBytes: 50 << 20, CPUSeconds: 90},
			{Slot: 1, State: "ready", PID: 71, Generation: 4, Started: noon.Add(-3725 * time.Second), Sessions: 1234, Untaken: 2, Restarts: 1, Crashes: 1,
				ResidentBytes: 54 << 20, CPUSeconds: 12.34, LastExit: "signal: killed", LastExitAt: noon.Add(-3726 * time.Second)},
			{Slot: 2, State: "waiting", Crashes: 4, Deaths: 4, LastExitAt: noon.Add(-time.Second), Next: noon.Add(4 * time.Second),
				LastExit: "cannot start worker: fork/exec ./myserver: permission denied; try: chmod +x ./myserver"},
			{Slot: 3, State: "waiting", Why: "drained by hand"},
		},
	}
}

func TestTable(t *testing.T) {
	want := `stickyd v1.2, pid 70, up 2d2h, stopping, :3000 unix:/a, 1234 sessions
now: rolling restart: 1 of 3 slots
ids: header:Mcp-Session-Id 1234 found, 12 of dead workers, 4 unknown; query:sid
  none
hint: no request carries a session id in query:sid: is it --session
  cookie:connect.sid?
SLOT  STATE     GEN  PID  UP    SESSIONS  RESTARTS  CRASHES  MEMORY
1     draining  3    60   1d2h  12        0         0        50 MiB
      restarted, 25s left
1     ready     4    71   1h2m  1234      1         1        54 MiB
2     waiting   –    –    –     –         0         4        –
      last crash 1s ago: cannot start worker: fork/exec ./myserver: permission
        denied; try: chmod +x ./myserver, 4 in a row; next start in 4s
3     waiting   –    –    –     –         0         0        –
      drained by hand
`
	if got := busy().text(noon, terminal.UsualWidth, 0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// With one source, all of whose ids were found, there is nothing to say.
func TestIdsAreToldWhereTheyAreOfInterest(t *testing.T) {
	for _, tt := range []struct {
		sources []Source
		want    string
	}{
		{nil, ""},
		{[]Source{{"query:sid", 9, 9, 0, 0}}, ""},
		{[]Source{{"query:sid", 9, 8, 1, 0}}, "ids: query:sid 8 found, 1 of dead workers"},
		{[]Source{{"query:sid", 9, 0, 0, 9}}, "ids: query:sid 9 unknown"},
		{[]Source{{"query:sid", 9, 9, 0, 0}, {"cookie:s", 0, 0, 0, 0}}, "ids: query:sid 9 found; cookie:s none"},
	} {
		if got := (&Status{Sources: tt.sources}).ids(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.sources, got, tt.want)
		}
	}
}

func TestTableOnAWideTerminal(t *testing.T) {
	want := `SLOT  STATE     GEN  PID  UP    SESSIONS  UNTAKEN  RESTARTS  CRASHES  MEMORY  CPU
1     draining  3    60   1d2h  12        0        0         0        50 MiB  1m30s
      restarted, 25s left
1     ready     4    71   1h2m  1234      2        1         1        54 MiB  12.3s
`
	if got := busy().text(noon, wideWidth, 0); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant in it\n%s", got, want)
	}
}

// A crash is told while it is news, or why there is no worker.
func TestCrashThatIsOver(t *testing.T) {
	long, now := noon.Add(-8*time.Hour), noon.Add(-9*time.Minute)
	for _, tt := range []struct {
		name string
		w    Worker
		told bool
	}{
		{"ready", Worker{State: "ready", PID: 7, LastExitAt: now}, true},
		{"ready for long", Worker{State: "ready", PID: 7, LastExitAt: long}, false},
		{"drained long ago", Worker{State: "drained", LastExitAt: long, Deaths: 1}, false},
		{"starting in place of one that crashed, slowly", Worker{State: "starting", PID: 7, LastExitAt: long, Deaths: 1}, true},
		{"starting as an heir", Worker{State: "starting", PID: 7, LastExitAt: long}, false},
		{"waiting", Worker{State: "waiting", Next: noon, LastExitAt: long, Deaths: 3}, true},
		{"from an older stickyd", Worker{State: "ready", PID: 7}, true},
	} {
		tt.w.LastExit = "exit status 1"
		s := &Status{Workers: []Worker{tt.w}}
		if got := s.text(noon, terminal.UsualWidth, 0); strings.Contains(got, "last crash") != tt.told {
			t.Errorf("%s:\n%s", tt.name, got)
		}
	}
}

// Many may be on trial at a time: that takes no line of each.
func TestTrialIsAState(t *testing.T) {
	s := &Status{Workers: []Worker{
		{Slot: 1, State: "ready", PID: 7},
		{Slot: 2, State: "ready", PID: 8, OnTrial: true, Why: "has to stay ready for a while"},
		{Slot: 3, State: "starting", PID: 9, OnTrial: true},
	}}
	got := strings.Split(s.text(noon, terminal.UsualWidth, 0), "\n")
	if len(got) != 6 || !strings.HasPrefix(got[2], "1     ready ") || !strings.HasPrefix(got[3], "2     trial ") || !strings.HasPrefix(got[4], "3     starting ") {
		t.Errorf("got %q", got)
	}
}

// Where not all workers fit, those that are in trouble do.
func TestTroubleIsNotCut(t *testing.T) {
	s := &Status{}
	for i := range 30 {
		s.Workers = append(s.Workers, Worker{Slot: i + 1, State: "ready", PID: 100 + i})
	}
	s.Workers[10].State, s.Workers[10].OnTrial = "ready", true
	s.Workers[20].State, s.Workers[28].State, s.Workers[29].State = "draining", "waiting", "starting"
	lines := strings.Split(s.text(noon, terminal.UsualWidth, 8), "\n")[2:]
	for i, want := range []string{"1     ready ", "2     ready ", "21    draining ", "29    waiting ", "30    starting ", "… 25 more: 24 ready, 1 trial"} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
}

// Whatever the numbers, a table is as wide as the terminal at most.
func TestTableFits(t *testing.T) {
	s := busy()
	s.Version = "v0.9.1-0.20261125130840-f21a7e3bdb49+dirty"
	s.Listen = []string{"127.0.0.1:3000", "[::1]:3000", "unix:/run/myserver.sock"}
	s.Operation = strings.Repeat("slot 1: the new one is ready, ", 5)
	w := &s.Workers[0]
	w.Slot, w.State, w.Generation, w.PID, w.Started = 1024, "finishing", 100, 4194304, noon.Add(-1000*24*time.Hour)
	w.Sessions, w.Untaken, w.Restarts, w.Crashes, w.ResidentBytes, w.CPUSeconds = 12345678, 250, 12345678, 123456, 12<<30, 360000
	for _, width := range []int{terminal.UsualWidth, wideWidth - 1, wideWidth} {
		for line := range strings.Lines(s.text(noon, width, 0)) {
			if utf8.RuneCountInString(line) > width+len("\n") || strings.TrimRight(line, " \n")+"\n" != line {
				t.Errorf("longer than %d, or blanks at the end: %q", width, line)
			}
		}
	}
}

func TestTableOfManyThatDoNotFit(t *testing.T) {
	s := &Status{Version: "v1"}
	for i := range 50 {
		s.Workers = append(s.Workers, Worker{Slot: i + 1, State: "ready", PID: 100 + i})
	}
	s.Workers[45].State = "waiting"
	s.Workers[2].Why = "a note"
	for height := 1; height < 60; height++ {
		lines := strings.Split(strings.TrimSuffix(s.text(noon, terminal.UsualWidth, height), "\n"), "\n")
		last := lines[len(lines)-1]
		const all = 1 + 1 + 50 + 1 // head, head of the table, workers, note
		switch {
		case height >= all:
			if len(lines) != all || !strings.HasPrefix(last, "50 ") {
				t.Errorf("in %d lines: %d, the last %q", height, len(lines), last)
			}
		case len(lines) > max(height, 4): // one worker is always shown
			t.Errorf("in %d lines: %d", height, len(lines))
		case height == 24 && (last != "… 30 more: 30 ready" || !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "46    waiting") })):
			t.Errorf("in %d lines: %q", height, last)
		}
	}
	if got := s.text(noon, terminal.UsualWidth, 0); strings.Count(got, "\n") != 53 {
		t.Errorf("without a limit:\n%s", got)
	}
}

// Where lines are longer than the terminal is wide, it wraps them.
func TestTableOfManyInANarrowTerminal(t *testing.T) {
	s := &Status{Version: "v1"}
	for i, state := range []string{"ready", "starting", "draining", "stopping", "waiting", "finishing"} {
		for j := range 10 {
			s.Workers = append(s.Workers, Worker{Slot: 10*i + j + 1, State: state, PID: 100})
		}
	}
	const width = 40
	for height := 12; height < 60; height++ {
		lines := strings.Split(strings.TrimSuffix(s.text(noon, width, height), "\n"), "\n")
		if n := rows(lines, width); n > height {
			t.Errorf("in %d lines: %d", height, n)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, `[""]`},
		{"one two three", 10, `["one two" "  three"]`},
		{"one two three", 7, `["one two" "  three"]`},
		{"a long-word-that-does-not-fit b", 10, `["a" "  long-word-that-does-not-fit" "  b"]`},
		{"lines\nbecome words", 80, `["lines become words"]`},
	} {
		if got := fmt.Sprintf("%q", wrap(tt.text, tt.width, 2)); got != tt.want {
			t.Errorf("%q in %d: %s", tt.text, tt.width, got)
		}
	}
}
