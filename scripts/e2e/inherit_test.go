package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// startWithSocket starts stickyd with a listening socket, as a service manager
// does (sd_listen_fds(3)): the number of the process must be its own.
func startWithSocket(t *testing.T, command []string, flags ...string) (s *server, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	ln.Close() // socket has it, too
	args := append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", binary, "--log-format", "json", "-n", "2"}, flags...)
	cmd := exec.Command("sh", append(append(args, "--"), command...)...)
	cmd.ExtraFiles = []*os.File{socket}
	s = launchCommand(t, cmd)
	socket.Close()
	s.addr = addr
	return s, addr
}

func TestSocketOfTheServiceManagerIsServed(t *testing.T) {
	control := socketDir(t) + "/control.sock"
	s, addr := startWithSocket(t, worker("app"), "--control", control)
	s.awaitN(2, "worker ready", nil)
	sid := s.mustGet("/handshake").SID
	for _, verb := range []string{"status", "reload", "upgrade"} {
		if status, out := ask(t, verb, control); status != 0 {
			t.Fatalf("%s: exit status %d: %s", verb, status, out)
		}
		if listen := askStatus(t, control).Listen; len(listen) != 1 || listen[0] != addr {
			t.Errorf("after %s it listens on %v, want only %s", verb, listen, addr)
		}
	}
	s.mustGet("/use?sid=" + sid)
	// The workers have neither the socket nor what tells of it.
	for _, w := range askStatus(t, control).Workers {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", w.PID))
		if err != nil || strings.Contains(string(env), "LISTEN_") {
			t.Errorf("worker %d has %q, %v", w.Slot, env, err)
		}
	}
}

func TestListenIsServedBesideTheSocketOfTheServiceManager(t *testing.T) {
	s, addr := startWithSocket(t, worker("app"), "--listen", "127.0.0.1:0")
	other := s.await("listening", func(e event) bool { return e.str("addr") != addr }).str("addr")
	s.awaitN(2, "worker ready", nil)
	s.mustGet("/whoami")
	s.addr = other
	s.mustGet("/whoami")
}
