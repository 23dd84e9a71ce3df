package supervisor

import (
	"os/exec"
	"syscall"
	"testing"
)

// withoutDescriptors calls f while this process can't open any file.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	f()
}

// A wait for which there was no descriptor can be broken off, and sees the end.
func TestWaitWithoutADescriptor(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var first, second *exitWait
	withoutDescriptors(t, func() { first, second = newExitWait(cmd.Process), newExitWait(cmd.Process) })
	ended := make(chan bool)
	go func() { ended <- first.await() }()
	first.interrupt()
	if <-ended {
		t.Error("it has exited, says one who was interrupted")
	}
	go func() { ended <- second.await() }()
	in.Close()
	if !<-ended {
		t.Error("it goes on")
	}
	if state := second.reap(); state == nil || !state.Success() {
		t.Error("it ended with", state)
	}
}
