package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/supervisor/config"
)

func TestVerbsAskForWhatIsMeant(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.script = []string{"one", "one", "two"}
	for _, tt := range []struct {
		words string
		want  any
		last  string
	}{
		{"restart", RestartOptions{}, "restarted"},
		{"restart 2 1 --parallel 3 --max-unready 4", RestartOptions{Slots: []int{2, 1}, Parallel: 3, MaxUnready: 4}, "restarted"},
		{"restart --parallel 3 -- 2", RestartOptions{Slots: []int{2}, Parallel: 3}, "restarted"},
		{"restart all", RestartOptions{}, "restarted"},
		{"scale 4", Scale{N: 4}, "scaled"},
		{"scale +1", Scale{Relative: true, N: 1}, "scaled"},
		{"scale -1", Scale{Relative: true, N: -1}, "scaled"},
		{"scale --control 3000 -2", Scale{Relative: true, N: -2}, "scaled"},
		{"scale -2 --control 3000", Scale{Relative: true, N: -2}, "scaled"},
		{"drain 2", 2, "drained"},
		{"reload", "reload", "reloaded"},
	} {
		status, out, errs := command(strings.Fields(tt.words)...)
		if want := "one\ntwo\n" + tt.last + "\n"; status != 0 || out != want || errs != "" {
			t.Errorf("%s: exit status %d, %q, %q", tt.words, status, out, errs)
			continue
		}
		if got := <-f.asked; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: asked for %+v", tt.words, got)
		}
	}
	for words, want := range map[string]string{"upgrade": "", "upgrade dist/stickyd": filepath.Join(here, "dist/stickyd"), "upgrade /bin/new": "/bin/new"} {
		go func() { (<-f.caller).End(nil) }()
		if status, out, errs := command(strings.Fields(words)...); status != 0 || out != "upgraded\n" {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
		if got := <-f.asked; got != want {
			t.Errorf("%s: asked for %v", words, got)
		}
	}
}

func TestOperationWithMuchToSay(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	var want strings.Builder
	for i := range 350 {
		f.script = append(f.script, fmt.Sprint(i))
		fmt.Fprintln(&want, i)
	}
	if status, out, _ := command("reload"); status != 0 || out != want.String()+"reloaded\n" {
		t.Errorf("exit status %d, %q", status, out)
	}
}

func TestOperationThatFails(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.script, f.gate = []string{"one"}, make(chan error, 1)
	f.gate <- errors.New("slot 2 did not get ready")
	status, out, errs := command("restart")
	if status != 1 || out != "one\n" || errs != "stickyd: slot 2 did not get ready\n" {
		t.Errorf("exit status %d, %q, %q", status, out, errs)
	}
}

func TestOperationGoesOnWithoutWhoAskedForIt(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.script, f.gate = []string{"one"}, make(chan error)
	asking := follow(t, "restart")
	asking.says(t, "one\n")
	asking.interrupt()
	if status := <-asking.returned; status != 1 || asking.errs.String() != "stickyd: stopped waiting; the operation goes on, and stickyd status shows it; stickyd cancel ends it\n" {
		t.Errorf("exit status %d, %q", status, &asking.errs)
	}
	if status, _, _ := command("status"); status != 0 {
		t.Error("an operation keeps others from looking")
	}
	f.gate <- nil // it is still there to take it
}

// Who does not want to wait any more is told what ends the operation, if anything
// does, of the same stickyd.
func TestInterruptedSaysWhatEndsIt(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.script, f.gate = []string{"one"}, make(chan error)
	defer close(f.gate)
	const goesOn = "stickyd: stopped waiting; the operation goes on, and stickyd status shows it"
	for words, want := range map[string]string{
		"scale +1 --control 3000": goesOn + "; stickyd cancel --control 3000 ends it\n",
		"reload":                  goesOn + "; stickyd cancel ends it\n",
		"drain 1":                 goesOn + "\n",
		"cancel":                  goesOn + "\n",
	} {
		asking := follow(t, strings.Fields(words)...)
		asking.says(t, "one\n")
		asking.interrupt()
		if status := <-asking.returned; status != 1 || asking.errs.String() != want {
			t.Errorf("%s: exit status %d, %q", words, status, &asking.errs)
		}
	}
}

// Cancel says what it came to, and no more.
func TestCancel(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	f.gate = make(chan error, 1)
	for _, tt := range []struct {
		script    []string
		err       error
		status    int
		out, errs string
	}{
		{[]string{"nothing is under way"}, nil, 0, "nothing is under way\n", ""},
		{[]string{"cancelling scaling", "scaling was cancelled"}, nil, 0, "cancelling scaling\nscaling was cancelled\n", ""},
		{nil, errors.New("it is too late"), 1, "", "stickyd: it is too late\n"},
	} {
		f.script = tt.script
		f.gate <- tt.err
		if status, out, errs := command("cancel"); status != tt.status || out != tt.out || errs != tt.errs {
			t.Errorf("exit status %d, %q, %q", status, out, errs)
		}
		if got := <-f.asked; got != "cancel" {
			t.Errorf("asked for %v", got)
		}
	}
}

func TestOperationWhenStickydStops(t *testing.T) {
	ownPlace(t)
	f, s, _ := serve(t, "", port3000)
	f.gate = make(chan error)
	defer close(f.gate)
	go func() {
		<-f.asked
		s.Finish(nil)
	}()
	if status, _, errs := command("reload"); status != 1 || errs != "stickyd: stickyd stopped before the operation ended\n" {
		t.Errorf("exit status %d, %q", status, errs)
	}
}

func TestExplain(t *testing.T) {
	ownPlace(t)
	f, _, _ := serve(t, "", port3000)
	const id = "-secret-of-a-session\x1b-"
	for _, tt := range []struct {
		e    Explanation
		want string
	}{
		{Explanation{State: Owned, Slot: 2, Generation: 3, PID: 40, WorkerSince: time.Now().Add(-25 * time.Hour)},
			"session -sec…: the worker of slot 2, pid 40, generation 3, has it; it is up 1d1h\n"},
		{Explanation{State: Dead, Slot: 2, PID: 40, DiedAt: time.Now().Add(-2 * time.Hour)},
			"session -sec…: the worker of slot 2, pid 40, had it, and died 2h0m ago; another worker tells the client that it is unknown\n"},
		{Explanation{State: Dead, Slot: 2, DiedAt: time.Now().Add(-2 * time.Hour)},
			"session -sec…: the worker of slot 2, had it, and died 2h0m ago; another worker tells the client that it is unknown\n"},
		{Explanation{State: Unknown}, "session -sec…: no worker has registered it, or it has ended; any worker gets its requests\n"},
	} {
		f.explanation = tt.e
		if status, out, errs := command("explain", "--", id); status != 0 || out != tt.want {
			t.Errorf("%s: exit status %d, %q, %q", tt.e.State, status, out, errs)
		}
		if got := <-f.asked; got != id {
			t.Errorf("asked for %q", got)
		}
	}
	var out bytes.Buffer
	if status := perform(context.Background(), []string{"explain", "-", "--json"}, strings.NewReader("an id\r\n"), &out, io.Discard); status != 0 {
		t.Error("exit status ", status)
	}
	var e Explanation
	if err := json.Unmarshal(out.Bytes(), &e); err != nil || e.State != Unknown {
		t.Errorf("%v: %s", err, &out)
	}
	if got := <-f.asked; got != "an id" {
		t.Errorf("from standard input: asked for %q", got)
	}
	if status, _, errs := command("explain", "-"); status != 1 || !strings.Contains(errs, "is empty") {
		t.Errorf("an empty id: exit status %d, %q", status, errs)
	}
}

// No more of an id is shown than is needed to recognise it.
func TestHintOfAnID(t *testing.T) {
	for id, want := range map[string]string{"": "…", "abc": "…", "abcdefgh": "ab…", "0123456789abcdefghij": "0123…", "\x1b[31mabcdefghij": `\x1b[3…`} {
		if got := hint([]byte(id)); got != want {
			t.Errorf("of %q: %s", id, got)
		}
	}
}

func TestBadUsage(t *testing.T) {
	for _, words := range []string{
		"status --dance", "status 1", "status --ready --json", "status --watch --ready", "stop now", "status --control", "restart x", "restart 0", "restart -1", "restart 1 1", "restart --parallel 0",
		"restart --max-unready x", "scale", "scale 0", "scale +0", "scale x", "scale 1 2", "scale -x", "drain", "drain 1 2", "drain x", "reload now",
		"upgrade a b", "cancel 1", "logs 0", "logs 1 2", "logs -n x", "logs -n -1", "events 1", "events -n", "explain", "explain a b", "explain -x",
	} {
		args := strings.Fields(words)
		if status, out, errs := command(args...); status != 2 || out != "" || !strings.HasSuffix(errs, "stickyd "+args[0]+" --help shows how to use it\n") {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
}

func TestWhatIsWrongWithFlags(t *testing.T) {
	for words, want := range map[string]string{
		"status --dance":            "unknown flag --dance",
		"status -dance":             "unknown flag -dance",
		"status -x=1":               "unknown flag -x",
		"status --control":          "--control needs a value",
		"logs -n":                   "-n needs a value",
		"logs -n x":                 `-n x: "x" is not a number of 0 or more`,
		"events -n -1":              `-n -1: "-1" is not a number of 0 or more`,
		"events -n=-1":              `-n -1: "-1" is not a number of 0 or more`,
		"restart --parallel -2 1":   `--parallel -2: "-2" is not a number of 1 or more`,
		"restart 1 --parallel 0":    `--parallel 0: "0" is not a number of 1 or more`,
		"status --json=maybe":       "--json takes no value",
		"events -f -1":              "events takes no argument: -1",
		"explain --json -- ":        "explain takes the id of a session, or - for standard input",
		"restart --max-unready= -1": `--max-unready : "" is not a number of 1 or more`,
	} {
		args := strings.Fields(words)
		wants := "stickyd: " + want + "\nstickyd " + args[0] + " --help shows how to use it\n"
		if status, out, errs := command(args...); status != 2 || out != "" || errs != wants {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
	if status, _, errs := command("explain", ""); status != 2 || !strings.Contains(errs, "the session id is empty") {
		t.Errorf("explain without an id: exit status %d, %q", status, errs)
	}
}

func TestStatusReady(t *testing.T) {
	ownPlace(t)
	if status, _, errs := command("status", "--ready"); status != 1 || !strings.Contains(errs, "no stickyd of yours is running") {
		t.Errorf("with none: exit status %d, %q", status, errs)
	}
	f, _, _ := serve(t, "", port3000)
	for _, tt := range []struct {
		stopping bool
		states   string
		status   int
		out      string
		errs     string
	}{
		{false, "", 1, "", "stickyd: no worker is ready, of 0\n"},
		{false, "starting draining", 1, "", "stickyd: no worker is ready, of 2\n"},
		{false, "waiting ready", 0, "1 worker ready\n", ""},
		{false, "ready ready", 0, "2 workers ready\n", ""},
		{true, "ready", 1, "", "stickyd: stickyd is stopping\n"},
	} {
		f.status.Stopping, f.status.Workers = tt.stopping, nil
		for i, state := range strings.Fields(tt.states) {
			f.status.Workers = append(f.status.Workers, Worker{Slot: i + 1, State: state})
		}
		if status, out, errs := command("status", "--ready"); status != tt.status || out != tt.out || errs != tt.errs {
			t.Errorf("%s: exit status %d, %q, %q", tt.states, status, out, errs)
		}
		if status, _, _ := command("status"); status != 0 {
			t.Errorf("%s: without --ready: exit status %d", tt.states, status)
		}
	}
}

func TestBadRequests(t *testing.T) {
	ownPlace(t)
	_, _, ln := serve(t, "", port3000)
	c := newClient(ln.Path())
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/v1/restart", `{"slots":[0]}`, "0 is not a worker number"},
		{"POST", "/v1/restart", `{"parallel":-1}`, "cannot be negative"},
		{"POST", "/v1/restart", `{"paralel":1}`, `unknown field "paralel"`},
		{"POST", "/v1/restart", `{`, "not understood"},
		{"POST", "/v1/restart", strings.Repeat(" ", bodyBytes+1), "too large"},
		{"POST", "/v1/drain", "", "0 is not a worker number"},
		{"POST", "/v1/scale", "", "0 workers are too few"},
		{"GET", "/v1/logs?n=x", "", "n is not a number"},
		{"GET", "/v1/logs?slot=-1", "", "slot is not a number"},
		{"GET", "/v1/events?after=x", "", "after is not a number"},
	} {
		if _, err := c.do(context.Background(), tt.method, tt.path, []byte(tt.body)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.20s: error %v, want %q", tt.path, tt.body, err, tt.want)
		}
	}
}

func TestHelpOfEachVerb(t *testing.T) {
	for _, v := range verbs {
		status, out, errs := command(v.name, "--help")
		usage := strings.TrimSpace("Usage: stickyd "+v.name+" [flags] "+v.args) + "\n"
		if status != 0 || !strings.HasPrefix(out, usage) || errs != "" || !strings.Contains(out, "--control SOCKET") {
			t.Errorf("%s: exit status %d, %q, %q", v.name, status, out, errs)
		}
		if strings.Count(out, "\n") > 24 {
			t.Errorf("%s: more than a screen", v.name)
		}
		for line := range strings.Lines(out) {
			if len(line) > 80+len("\n") || strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
				t.Errorf("%s: longer than 80, or blanks at the end: %q", v.name, line)
			}
		}
	}
	_, commands, _ := strings.Cut(config.Usage(false), "\nCommands: stickyd")
	commands, _, _ = strings.Cut(commands, ";")
	for _, v := range verbs {
		if !regexp.MustCompile(`[ \n]` + v.name + `\b`).MatchString(commands) {
			t.Errorf("stickyd help does not name %s", v.name)
		}
		if !config.IsVerb(v.name) {
			t.Errorf("config takes %s for the command of a worker", v.name)
		}
	}
	if _, out, _ := command("logs", "-h"); !strings.Contains(out, "  -n, --lines N      print the last N lines (default 100)\n") {
		t.Error(out)
	}
}

// Others' answers are not shown as if they were ours.
func TestOlderStickyd(t *testing.T) {
	ownPlace(t)
	ln, err := Listen("", port3000, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	older := &http.Server{Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- older.Serve(ln) }()
	if status, _, errs := command("reload"); status != 1 || !strings.Contains(errs, "404 Not Found; is this stickyd older") {
		t.Errorf("exit status %d, %q", status, errs)
	}
	older.Close()
	<-served
}
