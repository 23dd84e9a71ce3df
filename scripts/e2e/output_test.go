package e2e

import (
	"io"
	"os"
	"os/exec"
	"testing"
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
