package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// say runs stickyd to its end.
func say(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestHelpIsAboutWhatIsAsked(t *testing.T) {
	for words, want := range map[string]string{
		"help":              "Usage: stickyd [flags] -- COMMAND",
		"help --all":        "Usage: stickyd [flags] -- COMMAND",
		"help logs":         "Usage: stickyd logs [flags] [SLOT]",
		"logs --help":       "Usage: stickyd logs [flags] [SLOT]",
		"demo --help":       "Usage: stickyd demo [flags]",
		"help demo":         "Usage: stickyd demo [flags]",
		"demo --help --all": "Usage: stickyd [flags] -- COMMAND",
	} {
		if status, out, errs := say(t, strings.Fields(words)...); status != 0 || !strings.HasPrefix(out, want) || errs != "" {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
}

func TestVerbsThatAreNotWrittenRight(t *testing.T) {
	for words, want := range map[string]string{
		"restrat":               `unknown command "restrat"; did you mean "restart"?`,
		"--control 3000 status": "stickyd status [flags]",
		"--json status":         "stickyd status [flags]",
		"true":                  `unknown command "true"; stickyd help shows the commands`, // there is such a program
		"list":                  "stickyd status shows the workers",
		"ps -a":                 `unknown command "ps"; stickyd status shows the workers`, // and such, too
		"kill 999999999":        `unknown command "kill"; stickyd stop stops all, stickyd restart 3 replaces one`,
		"-n 2 top -b":           `unknown command "top"`,
		"ls /":                  `unknown command "ls"`,
		"tail -f /dev/null":     `unknown command "tail"; stickyd logs -f`,
		"start server.js":       `unknown command "start"; stickyd -- COMMAND`,
		"reload now":            "reload takes no argument: now",
		"guardian":              `unknown command "guardian"`,
		"help foo":              `unknown command "foo"`,
	} {
		if status, out, errs := say(t, strings.Fields(words)...); status != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit status %d, %q, %q", words, status, out, errs)
		}
	}
}

// What can be known before clients come is an error before they do, and one of
// the check.
func TestCheckFindsWhatStartFails(t *testing.T) {
	for flags, want := range map[string]string{
		"--user nobody-of-that-name":                "run workers as",
		"--group nobody-of-that-name":               "run workers",
		"--control /nowhere/c.sock":                 "cannot open the control socket /nowhere/c.sock: the directory does not exist",
		"--metrics 192.0.2.1:9090":                  "cannot serve metrics on 192.0.2.1:9090",
		"--listen unix:/nowhere/x.sock":             "cannot listen on unix:/nowhere/x.sock: the directory does not exist",
		"--listen 192.0.2.1:3000":                   "cannot listen on 192.0.2.1:3000",
		"--watch /nowhere":                          "cannot watch /nowhere: there is no such file or directory",
		"--metrics 192.0.2.1:9090 --control /a/b/c": "cannot open the control socket /a/b/c",
	} {
		args := append(strings.Fields("-l 127.0.0.1:0 "+flags+" --"), worker("plain")...)
		for _, args := range [][]string{args, append([]string{"--check"}, args...)} {
			if status, out, errs := say(t, args...); status != 1 || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, "listening") {
				t.Errorf("%q: exit status %d, %q, %q", args, status, out, errs)
			}
		}
	}
	if status, _, errs := say(t, "--check", "--", "./nobody-of-that-name"); status != 1 || !strings.Contains(errs, "cannot start worker") {
		t.Errorf("a command that is not there: exit status %d, %q", status, errs)
	}
}

func TestMetricsPortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	args := append([]string{"-l", "127.0.0.1:0", "--metrics", taken.Addr().String(), "--"}, worker("plain")...)
	if status, _, errs := say(t, args...); status != 1 || strings.Contains(errs, "listening") ||
		!strings.Contains(errs, fmt.Sprintf(": address already in use by e2e.test (pid %d); stop it, or choose another with --metrics\n", os.Getpid())) {
		t.Errorf("exit status %d, %q", status, errs)
	}
	if status, out, errs := say(t, append([]string{"--check"}, args...)...); status != 0 || !strings.Contains(out, "the configuration is valid") {
		t.Errorf("the check: exit status %d, %q, %q", status, out, errs)
	}
}
