package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// again is what the log says of output that is not shown again.
const again = "workers that did not get ready printed the same again"

// What all workers print that can't start is shown once, whole, and then counted.
func TestSameOutputIsShownOnce(t *testing.T) {
	const script = `echo "$(date +%T.%N) [$$] worker $STICKYD_WORKER: no luck"
		echo "    at main (app.js:12)"; echo "    at start (app.js:77)"; exit 1`
	s := start(t, []string{"sh", "-c", script}, "--workers", "3")
	if status := s.wait(); status != 1 {
		t.Error("exit status ", status)
	}
	deaths, _ := s.find("worker died", nil)
	lines, _ := s.find("worker output", nil)
	if len(deaths) < 9 || len(lines) != 3 || !strings.Contains(lines[0].str("line"), "no luck") || !strings.Contains(lines[2].str("line"), "at start") {
		t.Errorf("%d workers died, and these lines are shown: %v", len(deaths), lines)
	}
	told, _ := s.find(again, nil)
	if len(told) == 0 || told[len(told)-1].num("times") != len(deaths)-1 {
		t.Errorf("%d workers died, and this is told: %v", len(deaths), told)
	}
}

// A worker that is as all others, but gets ready, has its lines shown, and those
// that fail in another way, too.
func TestNothingNewIsHeldBack(t *testing.T) {
	dir := t.TempDir()
	script := fmt.Sprintf(`echo "starting"; if [ -e %[1]s/ready ]; then exec "$@"; fi
		n=$(cat %[1]s/failures 2>/dev/null || echo 0); echo $((n + 1)) >%[1]s/failures
		if [ $n = 3 ]; then echo "another reason"; touch %[1]s/ready; else echo "no luck"; fi; exit 1`, dir)
	s := start(t, append([]string{"sh", "-c", script, "sh"}, worker("app")...), "--workers", "1")
	s.await("worker ready", nil)
	var lines []string
	found, _ := s.find("worker output", nil)
	for _, e := range found {
		lines = append(lines, e.str("line"))
	}
	if got, want := strings.Join(lines, ", "), "starting, no luck, starting, another reason, starting"; got != want {
		t.Errorf("shown are %s; want %s", got, want)
	}
	if told, _ := s.find(again, nil); len(told) != 1 || told[0].num("times") != 2 {
		t.Errorf("told is %v", told)
	}
}

// With --watch the last lines of a worker stand in lines of their own, once for
// each time that it was tried.
func TestLastLinesAreLines(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	script := fmt.Sprintf(`if [ -e %s ]; then printf 'app.js:3\n    SyntaxError: no luck\n' >&2; exit 1; fi; exec "$@"`, broken)
	args := append([]string{"--listen", "127.0.0.1:0", "--log-format", "text", "-n", "1", "--min-ready", "0s", "--watch", dir, "--", "sh", "-c", script, "sh"}, worker("app")...)
	s := launch(t, args...)
	s.awaitText(`(msg="worker ready")`)
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := s.awaitText(`(?s)(msg="files have changed.*msg="operation failed".*?\n    \(shown above\))`)
	if n := strings.Count(first, "SyntaxError"); n != 1 || strings.Contains(first, `\n`) {
		t.Errorf("the error is shown %d times:\n%s", n, first)
	}
	if err := os.WriteFile(broken, []byte("still"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := s.awaitText(`(?s)msg="operation failed.*(msg="files have changed.*msg="operation failed".*SyntaxError.*?)\n`)
	if n := strings.Count(second, "SyntaxError"); n != 1 || strings.Contains(second, `\n`) || !strings.Contains(second, "\n        SyntaxError: no luck") {
		t.Errorf("when it failed again, the error is shown %d times:\n%s", n, second)
	}
}
