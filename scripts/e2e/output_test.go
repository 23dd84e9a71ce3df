package e2e

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Who reads stickyd's output may hang: that stops nothing but the output.
func TestBlockedStdoutStopsNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	args := append([]string{"--listen", "127.0.0.1:0", "--log-format", "json", "-n", "1", "--"}, worker("chatty")...)
	cmd := exec.Command(binary, args...)
	cmd.Stdout = w
	s := launchCommand(t, cmd)
	w.Close()
	s.addr = s.await("listening", nil).str("addr")
	pid := s.await("worker ready", nil).num("pid")
	io.ReadFull(r, make([]byte, 1<<20)) // there is a lot of it, and from now on nobody reads
	s.mustGet("/handshake")
	heir := s.replace(1, pid)
	if r := s.mustGet("/handshake"); r.PID != heir {
		t.Errorf("worker %d answered, want %d", r.PID, heir)
	}
	s.killNow()
	if alive(heir) {
		t.Error("the worker is still there")
	}
}

// A full pipe: its last words are stickyd's own error.
func TestBlockedStderrDoesNotKeepStickydAlive(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	w.Write(make([]byte, 1<<20)) // more than it holds
	cmd := exec.Command(binary, append([]string{"--listen", "127.0.0.1:0", "-n", "1", "--"}, worker("exits")...)...)
	cmd.Stdout = io.Discard
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		if status := cmd.ProcessState.ExitCode(); status != 1 {
			t.Error("exit status", status)
		}
	case <-time.After(deadline):
		cmd.Process.Kill()
		<-ended
		t.Error("it waits for the reader of its stderr")
	}
}
