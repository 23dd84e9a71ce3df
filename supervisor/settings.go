package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// ProcessSettings are what a worker's process gets from us rather than from
// whoever started us. Zero changes nothing.
type ProcessSettings struct {
	// User and Group are whom the worker runs as, each a name or a number: ""
	// for our own user, and for the user's own group. Only root can choose.
	User, Group string

	// OpenFiles is the limit of open files, soft and hard; 0: the limits that we
	// were started with, though the Go runtime has raised our own soft one.
	// Only root may exceed the hard one.
	OpenFiles int

	// Nice is added to our own niceness. Only root may use less than 0.
	Nice int
}

// launched reports whether the settings are made in the worker's process,
// between fork and exec.
func (p *ProcessSettings) launched() bool {
	return p.User != "" || p.Group != "" || p.OpenFiles != 0 || p.Nice != 0
}

// Check returns the errors that workers could not be started with because of the
// settings, without starting one.
func (p *ProcessSettings) Check() error {
	c, err := lookupCredentials(p.User, p.Group)
	if err == nil && c != nil {
		err = c.permitted()
	}
	return errors.Join(err, checkOpenFiles(p.OpenFiles), checkNiceness(p.Nice))
}

// checkOpenFiles returns an error if workers may not have so many. (The system's
// own highest limit is not looked up.)
func checkOpenFiles(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if uint64(n) <= limit.Max || mayRaiseLimits() {
		return nil
	}
	return fmt.Errorf("workers cannot have %d files open: the hard limit (ulimit -Hn) is %d, which only root may exceed", n, limit.Max)
}

// checkNiceness returns an error if workers may not have our own niceness and n.
// Who may lower it is too many a rule: one thread tries, and takes it back, which
// everybody may.
func checkNiceness(n int) error {
	if n >= 0 {
		return nil
	}
	runtime.LockOSThread() // niceness belongs to a thread
	defer runtime.UnlockOSThread()
	own := ownNiceness()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, own+n); err != nil {
		return fmt.Errorf("workers cannot have a niceness of %d: %w; only root, or who has CAP_SYS_NICE, may lower it", own+n, err)
	}
	return os.NewSyscallError("setpriority", syscall.Setpriority(syscall.PRIO_PROCESS, 0, own))
}

// prepare looks up and makes what all workers' settings need. It comes before
// the first child. Where there are workers already an error is no reason to end
// them: it is logged.
func (s *Supervisor) prepare() (err error) {
	resumed := s.relieved != nil
	if err = s.current.Process.Check(); err != nil && !resumed {
		return err // not only in each spawn, which would be tried for ever
	}
	memory, memoryErr := limitMemory(s.spec.Memory)
	s.memory = memory
	if err = errors.Join(err, memoryErr); err != nil && resumed {
		s.log.Error("new workers can't be started as they should be after the upgrade", "err", err)
		return nil
	}
	return err
}
