package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// CheckArg is the first argument of a program that is only to say whether it
// could take over.
const CheckArg = "--upgrade-check"

// CheckTimeout is how long Check waits where its context has no deadline.
const CheckTimeout = 10 * time.Second

// A Plan says what this process is to become.
type Plan struct {
	Binary string   // path of the program, see [Binary]
	Args   []string // as os.Args are: the name first
	Env    []string // as os.Environ returns it
	State  *os.File // of [Write]; stays the caller's

	// FDs are the descriptors to hand over, beside the state, 0, 1 and 2. They
	// keep their numbers. They stay the caller's.
	FDs []int

	// Start and Wait start the child of Check and wait for it; nil: the package's
	// own Start and the command's Wait do.
	Start, Wait func(*exec.Cmd) error

	// Pending returns the signals that were received and not acted on; nil: none
	// were. Exec calls it once, when what comes after that is not lost any more;
	// in the new program [Notify] delivers both, each once.
	Pending func() []syscall.Signal
}

// Check runs the program with [CheckArg] and our arguments as a child that gets
// the state and nothing else of ours, and returns nil if it said that it could
// take over ([Takeover.Passed]). Else the error says why not and what to do.
// When ctx ends, or after CheckTimeout if it has no deadline, the child's
// process group is killed.
func (p *Plan) Check(ctx context.Context) error { return p.check(ctx) }

// Exec makes this process that program. It returns only with an error; then all
// is as it was before, see the package's comment on the limit of open files.
//
// Nothing else of this process goes on meanwhile if Exec succeeds, and nobody
// forks until it returns. Workers with a parent-death signal that another thread
// than the caller's has forked would be killed.
func (p *Plan) Exec() error { return p.exec() }

// explain says of a program that can't be executed what to do about it.
func explain(path string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno // the path is said once
	}
	info, statErr := os.Stat(path)
	hint := ""
	switch {
	case statErr == nil && info.IsDir():
		hint = "it is a directory; name the program in it"
	case errors.Is(err, fs.ErrNotExist) && statErr == nil:
		hint = "does the interpreter exist that it names, as a script in its first line?"
	case errors.Is(err, fs.ErrNotExist):
		hint = "is the path right?"
	case errors.Is(err, fs.ErrPermission) && statErr == nil && info.Mode()&0o111 == 0:
		hint = "try: chmod +x " + path
	case errors.Is(err, fs.ErrPermission):
		hint = "may this user execute it, and enter the directories above it, and may anything on that file system be executed?"
	case errors.Is(err, syscall.ENOEXEC):
		hint = fmt.Sprintf("a program must be for %s/%s, and a script needs a first line such as #!/bin/sh", runtime.GOOS, runtime.GOARCH)
	case errors.Is(err, syscall.ETXTBSY):
		hint = "somebody is writing to it; write a new file and move it there"
	default:
		return fmt.Errorf("cannot execute %s: %w", path, err)
	}
	return fmt.Errorf("cannot execute %s: %w; %s", path, err, hint)
}

// busyRetries times busyPause is how long a program may still be written to:
// also by a process of ours that was forked a moment ago and has not executed
// its own program yet (https://go.dev/issue/22315).
const (
	busyRetries = 20
	busyPause   = 50 * time.Millisecond
)

// patiently tries again while the program is being written to.
func patiently(start func() error) error {
	err := start()
	for n := 0; n < busyRetries && errors.Is(err, syscall.ETXTBSY); n++ {
		time.Sleep(busyPause)
		err = start()
	}
	return err
}

// lastLines is the end of what a program wrote, for an error.
func lastLines(text string) string {
	const most = 10
	lines := strings.Split(strings.TrimSpace(text), "\n")
	text = strings.Join(lines[max(0, len(lines)-most):], "\n\t")
	if text == "" {
		return "; it wrote nothing to stderr"
	}
	return "; the last that it wrote to stderr:\n\t" + text
}
