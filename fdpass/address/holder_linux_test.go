package address

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// role makes the test binary another program, which does what its arguments say.
const role = "ADDRESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) // or programs sleep for a second before they exit
		os.Exit(m.Run())
	case "listen": // at an address, until its input ends
		network, addr := "tcp", os.Args[1]
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		ln, err := net.Listen(network, addr)
		if err != nil {
			fmt.Println(err)
			return
		}
		if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
			fmt.Println(tcp.Port)
		} else {
			fmt.Println(ln.Addr())
		}
		io.Copy(io.Discard, os.Stdin)
	case "ask":
		p, known := Holder(os.Args[1])
		fmt.Println(p, known)
	}
}

// copyOf returns another program that does the same, which any user may execute.
func copyOf(t *testing.T, name string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "address")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name)
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// listen lets a program listen at addr until the test ends, and returns its port,
// or path, and pid.
func listen(t *testing.T, program, addr string) (at string, pid int) {
	t.Helper()
	cmd := exec.Command(program, addr)
	cmd.Env = append(os.Environ(), role+"=listen")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if at, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(at), cmd.Process.Pid
}

func TestWhoListens(t *testing.T) {
	other := copyOf(t, "my server")
	for _, tt := range []struct{ listens, ask string }{
		{"127.0.0.1:0", "127.0.0.1:%s"},
		{"127.0.0.1:0", ":%s"},
		{"127.0.0.1:0", "0.0.0.0:%s"},
		{"0.0.0.0:0", "127.0.0.1:%s"},
		{":0", "127.0.0.1:%s"},
		{":0", ":%s"},
		{"[::1]:0", "[::1]:%s"},
		{"[::1]:0", "[::]:%s"},
		{"unix:" + filepath.Join(t.TempDir(), "a b.sock"), "unix:%s"},
	} {
		at, pid := listen(t, other, tt.listens)
		addr := fmt.Sprintf(tt.ask, at)
		if p, known := Holder(addr); !known || p.PID != pid || p.Name != "my server" {
			t.Errorf("%s, while it listens on %s: %+v, %v", addr, tt.listens, p, known)
		}
		want := fmt.Sprintf("address already in use by my server (pid %d); stop it, or choose another with --listen", pid)
		if err := InUse(addr, "--listen"); err.Error() != want {
			t.Errorf("%s: %v, want %s", addr, err, want)
		}
		if tt.listens == "127.0.0.1:0" {
			if p, known := Holder("127.0.0.2:" + at); known {
				t.Errorf("another address: %+v", p)
			}
		}
	}
}

func TestAnotherStickydListens(t *testing.T) {
	port, pid := listen(t, "/proc/self/exe", "127.0.0.1:0")
	want := fmt.Sprintf("address already in use by another stickyd (pid %[1]d): stickyd status --control %[1]d shows it, stickyd stop --control %[1]d stops it; or choose another with --metrics", pid)
	if err := InUse("127.0.0.1:"+port, "--metrics"); err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := InUse(ln.Addr().String(), "--listen"); !strings.Contains(err.Error(), "stickyd itself listens there already") {
		t.Errorf("this one: %v", err)
	}
	addr := ln.Addr().String()
	ln.Close()
	if err := InUse(addr, "--listen"); err.Error() != "address already in use; stop the program that has it, or choose another with --listen" {
		t.Errorf("nobody: %v", err)
	}
}

// Of another user's process it is known whose it is.
func TestWhoListensAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	program := copyOf(t, "asks")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := exec.Command(program, ln.Addr().String())
	cmd.Env = append(os.Environ(), role+"=ask")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "a program of user root true\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSocketsOfAProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.sock")
	_, pid := listen(t, "/proc/self/exe", "unix:"+path)
	if got := Sockets(pid); !slices.Equal(got, []string{path}) {
		t.Errorf("its sockets are %q", got)
	}
	t.Chdir(dir)
	_, pid = listen(t, "/proc/self/exe", "unix:./c.sock")
	got := Sockets(pid)
	if len(got) != 1 {
		t.Fatalf("of a relative path: %q", got)
	}
	c, err := net.Dial("unix", got[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := Sockets(1 << 30); len(got) != 0 {
		t.Errorf("of a process that there is not: %q", got)
	}
	if _, known := Holder("unix:" + filepath.Join(dir, "nobody")); known {
		t.Error("somebody listens nowhere")
	}
}
