package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envCheck says how the test binary plays a program that is being checked.
const envCheck = "UPGRADE_TEST_CHECK"

func playChecked() {
	t, err := Inherited()
	if err != nil || t == nil || !t.Checking() {
		fmt.Fprintln(os.Stderr, "no state:", err)
		os.Exit(3)
	}
	switch os.Getenv(envCheck) {
	case "silent":
	case "crash":
		panic("a crash at start")
	case "descriptors":
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			file, _ := os.Readlink("/proc/self/fd/" + e.Name())
			fmt.Fprintln(os.Stderr, e.Name(), file)
		}
		_, leaked := os.LookupEnv(envOrder)
		fmt.Fprintln(os.Stderr, "environment leaked:", leaked)
		os.Exit(1)
	case "hang":
		sleep := exec.Command("sleep", "1000")
		sleep.Stderr = os.Stderr // holds the output open
		sleep.Start()
		fmt.Fprintln(os.Stderr, "sleeper", sleep.Process.Pid)
		hung, _ := strconv.Atoi(os.Getenv("UPGRADE_TEST_HUNG"))
		unix.Kill(hung, unix.SIGUSR1)
		select {}
	default:
		var meta testMeta
		if err := t.Meta(&meta); err != nil || len(os.Args) != 3 || os.Args[2] != "arg" {
			fmt.Fprintln(os.Stderr, meta, err, os.Args)
			os.Exit(3)
		}
		fmt.Println("something else")
		t.Passed()
	}
	os.Exit(0)
}

func planFor(t *testing.T, binary string, env ...string) *Plan {
	t.Helper()
	return &Plan{Binary: binary, Args: []string{"name", "arg"}, Env: append(os.Environ(), env...), State: writeTestState(t)}
}

func script(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckPasses(t *testing.T) {
	if err := planFor(t, testBinary).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, binary, env string
		says              []string
	}{
		{"not there", dir + "/nothing", "", []string{"no such file", "is the path right"}},
		{"a directory", dir, "", []string{"directory"}},
		{"not executable", script(t, "#!/bin/sh\n", 0o644), "", []string{"chmod +x"}},
		{"no program", script(t, "\x7fELF but not really", 0o755), "", []string{"exec format error", "must be for linux/"}},
		{"no interpreter", script(t, "#!/nothing\n", 0o755), "", []string{"interpreter"}},
		{"exits with a status", script(t, "#!/bin/sh\necho first >&2; echo no such flag >&2; exit 2\n", 0o755), "", []string{"exit status 2", "no such flag"}},
		{"ends well and says nothing", "/bin/true", "", []string{"did not say"}},
		{"a stickyd that says nothing", testBinary, "silent", []string{"did not say"}},
		{"says its arguments", script(t, "#!/bin/sh\necho \"$@\"\n", 0o755), "", []string{"did not say"}},
		{"panics", testBinary, "crash", []string{"exit status 2", "goroutine"}},
		{"is killed", script(t, "#!/bin/sh\nkill -SEGV $$\n", 0o755), "", []string{"segmentation fault"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := planFor(t, tt.binary, envCheck+"="+tt.env).Check(t.Context())
			for _, want := range append(tt.says, tt.binary) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, which does not say %q", err, want)
				}
			}
		})
	}
}

// A program that hangs is killed with what it started. It says by a signal that
// it hangs.
func TestCheckKillsWhatHangs(t *testing.T) {
	hangs := notified(t, syscall.SIGUSR1)
	ctx, hurry := context.WithCancelCause(t.Context())
	go func() { <-hangs; hurry(context.DeadlineExceeded) }()
	err := planFor(t, testBinary, envCheck+"=hang", fmt.Sprintf("UPGRADE_TEST_HUNG=%d", os.Getpid())).Check(deadlineless{ctx})
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Fatal(err)
	}
	var sleeper int
	if _, rest, found := strings.Cut(err.Error(), "sleeper "); found {
		fmt.Sscan(rest, &sleeper)
	}
	if sleeper == 0 {
		t.Fatal("no sleeper in", err)
	}
	eventually(t, "the end of what it started", func() bool { return !alive(sleeper) })
}

// deadlineless has a deadline that is far away.
type deadlineless struct{ context.Context }

func (deadlineless) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }

func TestCheckIsCanceled(t *testing.T) {
	hangs := notified(t, syscall.SIGUSR1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hangs; cancel() }()
	err := planFor(t, testBinary, envCheck+"=hang", fmt.Sprintf("UPGRADE_TEST_HUNG=%d", os.Getpid())).Check(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCheckedProgramGetsTheStateOnly(t *testing.T) {
	other, err := os.Open("/dev/null") // would be 3 or more
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = planFor(t, testBinary, envCheck+"=descriptors").Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "environment leaked: false") {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(err.Error(), "stderr:\n")
	for _, line := range strings.Split(list, "\n") {
		var fd int
		var file string
		if n, _ := fmt.Sscan(line, &fd, &file); n < 2 || fd <= 2 {
			continue
		}
		if fd == 3 != strings.Contains(file, "stickyd-state") || strings.Contains(file, "/dev/null") || strings.HasPrefix(file, "socket:") {
			t.Errorf("descriptor %d is %s", fd, file)
		}
	}
}

func TestCheckWaitsForWhoWritesTheProgram(t *testing.T) {
	text, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	path := script(t, string(text), 0o755)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = planFor(t, path).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "writing to it") {
		t.Error("while it is open:", err)
	}
	tries := 0
	err = patiently(func() error {
		if tries++; tries == 2 {
			f.Close()
		}
		return exec.Command(path).Run()
	})
	if err != nil || tries < 2 {
		t.Error("closed meanwhile:", err, tries)
	}
}

// The program that is only checked says what is wrong with itself, and nothing
// of the one that runs.
func TestCheckedProgramDoesNotReturn(t *testing.T) {
	checked := Takeover{order: order{Check: true, Old: 99}}
	cause := errors.New("cause")
	if err := checked.Return(cause); err != cause {
		t.Error("it returned", err)
	}
}
