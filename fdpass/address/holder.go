package address

import (
	"fmt"
	"os"
	"syscall"
)

// A Process is one that listens somewhere: its pid and program, or, where this
// user can't see it, whose it is.
type Process struct {
	PID  int
	Name string
	User string // "" if the others are known
}

// String says which one it is, as for the end of "in use by".
func (p Process) String() string {
	if p.PID == 0 {
		return "a program of user " + p.User
	}
	return fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
}

// InUse is the error that somebody else listens on addr: who, as far as that
// shows, and what to do. The flag is the one that chooses another address.
func InUse(addr, flag string) error { return Explain(syscall.EADDRINUSE, "%s", inUse(addr, flag)) }

func inUse(addr, flag string) string {
	choose := "choose another with " + flag
	p, known := Holder(addr)
	switch {
	case !known:
		return fmt.Sprintf("address already in use; stop the program that has it, or %s", choose)
	case p.PID == os.Getpid():
		return fmt.Sprintf("stickyd itself listens there already, for another of its addresses; %s", choose)
	case p.isAnother():
		return fmt.Sprintf("address already in use by another stickyd (pid %d): stickyd status --control %d shows it, stickyd stop --control %d stops it; or %s",
			p.PID, p.PID, p.PID, choose)
	}
	return fmt.Sprintf("address already in use by %s; stop it, or %s", p, choose)
}

// isAnother reports whether the process runs the program of this one.
func (p Process) isAnother() bool {
	return p.PID != 0 && p.PID != os.Getpid() && p.Name == programOf(os.Getpid())
}
