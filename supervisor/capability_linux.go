package supervisor

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// permitted returns an error if this process, though it is root's, may not
// become what c says, as in a container without the capabilities
// (capabilities(7)).
func (c *credentials) permitted() error {
	has, err := capabilities()
	if err != nil {
		return err
	}
	if !has(unix.CAP_SETGID) || c.UID != os.Getuid() && !has(unix.CAP_SETUID) {
		return errors.New("cannot run workers as another user or group: the capabilities SETUID and SETGID are kept from stickyd")
	}
	return nil
}

// capabilities returns whether this process has one (capabilities(7)).
func capabilities() (has func(capability int) bool, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return nil, os.NewSyscallError("capget", err)
	}
	return func(capability int) bool { return sets[0].Effective&(1<<capability) != 0 }, nil
}

// mayRaiseLimits reports whether this process may exceed its hard limits.
func mayRaiseLimits() bool {
	has, err := capabilities()
	return err == nil && has(unix.CAP_SYS_RESOURCE)
}
