package procnet

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Root in a container may list another user's descriptors and not see what they
// are.
func TestSocketsThatCannotBeSeenAreAnError(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("STICKYD_BIN") != "" { // scripts/test runs as root
			t.Fatal("no root here")
		}
		t.Skip("no root here")
	}
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4800, Gid: 4801}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close() // ends it
	if open, err := Of(cmd.Process.Pid); err != nil || len(open) > 0 {
		t.Errorf("it has %d sockets, says one who sees all: %v", len(open), err)
	}
	seen := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with what it has lost
		dropFromThread(t, unix.CAP_SYS_PTRACE)
		_, err := Of(cmd.Process.Pid)
		seen <- err
	}()
	if err := <-seen; err == nil {
		t.Error("it has none, says one who cannot know")
	}
}

// dropFromThread takes a capability below 32 out of the thread's effective ones.
func dropFromThread(t *testing.T, capability int) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Error(err)
	}
	data[0].Effective &^= 1 << capability
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Error(err)
	}
}
