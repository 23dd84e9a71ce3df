package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

// controlFD is the number of the control descriptor in a worker.
const controlFD = 3

// spawn starts w's process and fills in what belongs to it. After an error
// nothing is left behind.
func (s *Supervisor) spawn(w *Worker) (err error) {
	var parent *fdpass.Conn
	var files [3]*os.File // the child's ends: control, stdout, stderr
	defer func() {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
		if err != nil && parent != nil {
			parent.Close()
		}
	}()
	if parent, files[0], err = fdpass.Pair(s.spec.Loop); err != nil {
		return err
	}
	if files[1], err = w.stdout.open(); err != nil {
		return err
	}
	if files[2], err = w.stderr.open(); err != nil {
		w.stdout.close()
		return err
	}
	w.inspector = s.inspectors.take(w.Slot, w.terms.Workers)
	defer func() {
		if err != nil {
			s.inspectors.release(w.inspector)
		}
	}()
	argv := withInspector(w.launch.Argv, w.inspector)
	cmd := exec.Command(argv[0], argv[1:]...)
	user, err := lookupCredentials(w.launch.Process.User, w.launch.Process.Group)
	if err == nil {
		cmd.Env, err = s.environment(w, user)
	}
	if err != nil {
		w.stdout.close()
		w.stderr.close()
		return err
	}
	cmd.ExtraFiles = files[:1]
	cmd.Stdout, cmd.Stderr = files[1], files[2]
	// A process group of its own: a signal reaches what the worker starts as
	// well, and ^C in a terminal reaches only us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.start(cmd, w, user); err != nil {
		w.stdout.close()
		w.stderr.close()
		return err
	}
	w.process, w.PID = newProcess(cmd.Process), cmd.Process.Pid
	s.guardian.add(w.PID)
	w.Link = s.newLink(parent, w)
	return nil
}

// start starts w's process with its settings. The error is for a person.
func (s *Supervisor) start(cmd *exec.Cmd, w *Worker, user *credentials) error {
	group, err := s.memory.join(w, cmd)
	if err != nil {
		return err
	}
	if p := &w.launch.Process; p.launched() && cmd.Err == nil { // else it says that there is no such command
		err = s.launch(cmd, p, user, s.markOf(w))
	} else {
		err = offspring.startMarked(cmd, s.markOf(w))
	}
	if err != nil {
		group.remove()
		return startError(w.launch.Argv, err)
	}
	group.started()
	w.memory = group
	return nil
}

// environment is ours, without what speaks of our own supervisor, with the
// user's and with what announces stickyd.
func (s *Supervisor) environment(w *Worker, user *credentials) ([]string, error) {
	env := make([]string, 0, len(os.Environ())+len(w.launch.Env)+8)
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
			workerproto.EnvNodeChannel, workerproto.EnvNodeSerialization, workerproto.EnvNodeID, workerproto.EnvNode:
		default:
			env = append(env, kv)
		}
	}
	if user != nil {
		env = append(env, user.Env...)
	}
	env = append(env, w.launch.Env...)
	if options := lastOf(env, "NODE_OPTIONS"); options != "" {
		env = append(env, "NODE_OPTIONS="+countUpAll(options, w.inspector))
	}
	if w.launch.preloads() && s.spec.Preload != nil {
		var err error
		if w.preload, err = s.spec.Preload(); err != nil {
			return nil, err
		}
		env = append(env, withPreload(env, w.launch.Argv, w.preload)...)
	}
	return append(append(env, s.markOf(w).env()), s.offer(w)...), nil
}

// A commandError says that the command can't be executed, now or later, and
// what to do about it. It is read by a person who typed it a second ago.
type commandError struct {
	err  error
	hint string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("cannot start worker: %v; %s", e.err, e.hint)
}
func (e *commandError) Unwrap() error { return e.err }

// CheckCommand returns the error that starting argv would end with, as far as
// that can be known without starting it.
func CheckCommand(argv []string) error {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return startError(argv, err)
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func isExecutable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode()&0o111 != 0
}

// startError turns a failed exec into something to act on.
func startError(argv []string, err error) error {
	var explained *commandError
	switch name := argv[0]; {
	case errors.As(err, &explained):
		return err
	case errors.Is(err, exec.ErrNotFound):
		return &commandError{err, "for a file in this directory write ./" + name}
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(name, " \t"):
		return &commandError{err, "write the program and its arguments as separate words, without quotes around all of them"}
	case errors.Is(err, fs.ErrNotExist) && exists(name):
		return &commandError{err, "the file is there, but not the interpreter that its first line names, or the loader of a binary"}
	case errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name):
		dir, wdErr := os.Getwd()
		if wdErr != nil {
			return &commandError{err, "the directory in which stickyd was started is gone: start it again, with an absolute path"}
		}
		return &commandError{err, "a relative path starts at " + dir}
	case errors.Is(err, fs.ErrNotExist):
		return &commandError{err, "check the path"}
	case errors.Is(err, fs.ErrPermission) && isExecutable(name):
		return &commandError{err, "may this user execute it, and enter the directories above it?"}
	case errors.Is(err, fs.ErrPermission):
		return &commandError{err, "try: chmod +x " + name}
	case errors.Is(err, syscall.ENOEXEC):
		return &commandError{err, fmt.Sprintf("a script needs a first line such as #!/bin/sh, a binary must be for %s/%s",
			runtime.GOOS, runtime.GOARCH)}
	}
	return fmt.Errorf("cannot start worker %q: %w", argv, err)
}
