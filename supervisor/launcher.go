package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"github.com/stickyd/stickyd/supervisor/exact"
)

// The launcher is what a worker's process is for its first milliseconds where
// there are settings that a process must make for itself. It is this program
// again, started as root if we are: it makes the settings, gives up what it was,
// and executes the worker's command in its own place. So the pid, which we know
// as the worker's, stays; the user need not be able to read our binary; and
// limits can be raised before the right to do so is gone.
//
// (SysProcAttr.Credential would drop that right first, and what os/exec can
// not do between fork and exec, another thread of a Go program can't do for the
// child either.)

// launcherFD is where the launcher reports why nothing came of it. It is closed
// by the exec, which is how we learn of that.
const launcherFD = controlFD + 1

// A launch is what the launcher is told in its first argument; the command's
// argv follows.
type launch struct {
	Path        exact.String // to execute
	OpenFiles   int          // 0: as it is
	Niceness    *int         // nil: as it is
	Credentials *credentials // nil: as they are
}

// A launchFailure is its answer.
type launchFailure struct {
	Errno         syscall.Errno // of the exec; 0: it did not come to that
	Message, Hint string        // otherwise
}

// RunLauncher is the launcher's main, which gets the arguments after the verb.
// It returns only if the command was not executed; we have been told why.
func RunLauncher(args []string) {
	// Niceness belongs to a thread, and the one that executes is the one that
	// stays.
	runtime.LockOSThread()
	syscall.CloseOnExec(launcherFD)
	var failure launchFailure
	switch err := runLaunch(args).(type) {
	case syscall.Errno:
		failure.Errno = err
	case *commandError:
		failure.Message, failure.Hint = err.err.Error(), err.hint
	}
	json.NewEncoder(os.NewFile(launcherFD, "report")).Encode(failure)
}

// runLaunch returns a syscall.Errno of the exec, or a *commandError.
func runLaunch(args []string) error {
	var l launch
	if len(args) < 2 || json.Unmarshal([]byte(args[0]), &l) != nil {
		return &commandError{errors.New("nothing to launch"), "this verb is for stickyd's own use"}
	}
	if err := l.apply(); err != nil {
		return err
	}
	return syscall.Exec(string(l.Path), args[1:], os.Environ())
}

// apply makes the settings; rights are given up last.
func (l *launch) apply() error {
	if n := l.OpenFiles; n != 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(n), Max: uint64(n)}); err != nil {
			return &commandError{fmt.Errorf("limit of %d open files: %w", n, err),
				"only root may exceed the hard limit (ulimit -Hn), and nobody fs.nr_open"}
		}
	}
	if n := l.Niceness; n != nil {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, *n); err != nil {
			return &commandError{fmt.Errorf("niceness %d: %w", *n, err), "only root may lower it"}
		}
	}
	if c := l.Credentials; c != nil {
		// The pipes are ours, and to open /dev/stdout is to open one anew. Without
		// that it works as well for who only writes.
		syscall.Fchown(1, c.UID, c.GID)
		syscall.Fchown(2, c.UID, c.GID)
		if err := c.assume(); err != nil {
			return &commandError{fmt.Errorf("user %d, group %d: %w", c.UID, c.GID, err),
				"are CAP_SETUID and CAP_SETGID kept from stickyd?"}
		}
	}
	return nil
}

// launch starts cmd's process through the launcher, which executes cmd. After
// an error nothing is left behind.
func (s *Supervisor) launch(cmd *exec.Cmd, p *ProcessSettings, c *credentials, m mark) error {
	l := launch{Path: exact.String(cmd.Path), OpenFiles: p.OpenFiles, Credentials: c}
	if p.Nice != 0 {
		niceness := ownNiceness() + p.Nice // beyond the limits, the kernel takes those
		l.Niceness = &niceness
	}
	what, err := json.Marshal(l)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Path = s.spec.Launcher[0]
	cmd.Args = append(append([]string{"sticky-launcher"}, s.spec.Launcher[1:]...), append([]string{string(what)}, cmd.Args...)...)
	cmd.ExtraFiles = slices.Concat(cmd.ExtraFiles, []*os.File{w}) // append could write to the caller's array
	err = offspring.startMarked(cmd, m)
	w.Close()
	if err != nil {
		return err
	}
	report, err := io.ReadAll(r)
	if err == nil && len(report) == 0 {
		return nil // it was executed, or killed: then that is its death
	}
	var failure launchFailure
	err = errors.Join(err, json.Unmarshal(report, &failure))
	WaitChild(cmd) // it ends now
	switch {
	case err != nil:
		return fmt.Errorf("its launcher: %w", err)
	case failure.Errno == 0:
		return &commandError{errors.New(failure.Message), failure.Hint}
	}
	return &fs.PathError{Op: "fork/exec", Path: string(l.Path), Err: failure.Errno} // as os/exec has it
}
