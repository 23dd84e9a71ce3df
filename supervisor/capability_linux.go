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
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	has := func(capability int) bool { return sets[0].Effective&(1<<capability) != 0 }
	if !has(unix.CAP_SETGID) || c.UID != os.Getuid() && !has(unix.CAP_SETUID) {
		return errors.New("cannot run workers as another user or group: the capabilities SETUID and SETGID are kept from stickyd")
	}
	return nil
}
