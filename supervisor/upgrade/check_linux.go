package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/supervisor/exact"
)

func (p *Plan) check(ctx context.Context) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, CheckTimeout)
		defer cancel()
	}
	began := time.Now()
	var stdout, stderr tail
	cmd, err := p.startCheck(&stdout, &stderr)
	if err != nil {
		return explain(p.Binary, err)
	}
	inTime := awaitEnd(ctx, cmd)
	wait := p.Wait
	if wait == nil {
		wait = (*exec.Cmd).Wait
	}
	err = wait(cmd)
	switch {
	case !inTime && context.Cause(ctx) == context.Canceled:
		return fmt.Errorf("%s %s was killed: %w", p.Binary, CheckArg, context.Canceled)
	case !inTime:
		return fmt.Errorf("%s %s had not ended after %v and was killed%s",
			p.Binary, CheckArg, time.Since(began).Round(100*time.Millisecond), lastLines(stderr.String()))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return fmt.Errorf("%s %s failed: %w%s", p.Binary, CheckArg, err, lastLines(stderr.String()))
	case !saysPassed(stdout.String()):
		return fmt.Errorf("%s %s ended well, but did not say that it can take over; is it a stickyd, and as new as this one?", p.Binary, CheckArg)
	}
	return nil
}

func (p *Plan) startCheck(stdout, stderr *tail) (cmd *exec.Cmd, err error) {
	const state = 3 // the first of ExtraFiles
	start := p.Start
	if start == nil {
		start = Start
	}
	args := append([]string{p.Args[0], CheckArg}, p.Args[1:]...)
	env := order{PID: os.Getpid(), Check: true, State: state, Binary: exact.String(p.Binary)}.in(p.Env)
	err = patiently(func() error {
		cmd = &exec.Cmd{Path: p.Binary, Args: args, Env: env, Stdout: stdout, Stderr: stderr, ExtraFiles: []*os.File{p.State}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.WaitDelay = time.Second // whoever left its group may have its output still
		return start(cmd)
	})
	return cmd, err
}

// awaitEnd waits for the process, until ctx is done, and then kills what there
// is of its group. It leaves it unreaped, so that the group's number is its own.
func awaitEnd(ctx context.Context, cmd *exec.Cmd) (inTime bool) {
	pid := cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}()
	select {
	case <-ended:
		inTime = true
	case <-ctx.Done():
	}
	unix.Kill(-pid, unix.SIGKILL)
	<-ended
	return inTime
}

func saysPassed(stdout string) bool {
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	return lines[len(lines)-1] == passed
}

// A tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b[max(0, len(b)-tailSize):]...)
	t.b = append(t.b[:0], t.b[max(0, len(t.b)-tailSize):]...)
	return len(b), nil
}

func (t *tail) String() string { return string(t.b) }
