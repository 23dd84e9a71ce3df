package systemd

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// heirVariable makes the test binary a process that inherits sockets.
const heirVariable = "SYSTEMD_TEST_HEIR"

func TestMain(m *testing.M) {
	if os.Getenv(heirVariable) != "" {
		inheritAndTell()
		return
	}
	os.Exit(m.Run())
}

// An heir is what such a process tells.
type heir struct {
	Inherited   []Inherited
	Ports       []int
	Err         string
	CloseOnExec bool     // each of them
	Left        []string // in the environment
}

func inheritAndTell() {
	h := heir{CloseOnExec: true}
	var err error
	if h.Inherited, err = Listeners(); err != nil {
		h.Err = err.Error()
	}
	for _, i := range h.Inherited {
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(i.FD), syscall.F_GETFD, 0)
		h.CloseOnExec = h.CloseOnExec && flags&syscall.FD_CLOEXEC != 0
		if addr, err := syscall.Getsockname(i.FD); err == nil {
			h.Ports = append(h.Ports, addr.(*syscall.SockaddrInet4).Port)
		}
	}
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "LISTEN_") {
			h.Left = append(h.Left, kv)
		}
	}
	json.NewEncoder(os.Stdout).Encode(h)
}

// bequeath starts an heir of two sockets with an environment, which a shell
// reads, so that $$ is the heir's pid.
func bequeath(t *testing.T, env string) (h heir, ports []int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "export "+env+`; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), heirVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	for range 2 {
		ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
		f, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &h); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return h, ports
}

func TestInheritedSockets(t *testing.T) {
	both := func(names ...string) []Inherited { return []Inherited{{3, names[0]}, {4, names[1]}} }
	for _, tt := range []struct {
		name, env string
		want      []Inherited
		err       string
	}{
		{"two, with names", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:admin", both("http", "admin"), ""},
		{"an empty name", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:", both("http", ""), ""},
		{"no names", "LISTEN_PID=$$ LISTEN_FDS=2", both("unknown", "unknown"), ""},
		{"one", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http LISTEN_PIDFDID=7", both("http", "")[:1], ""},
		{"for another process", "LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=http:admin", nil, ""},
		{"for nobody", "LISTEN_FDS=2", nil, ""},
		{"nothing", "OTHER=1", nil, ""},
		{"no number", "LISTEN_PID=$$ LISTEN_FDS=two", nil, "LISTEN_FDS"},
		{"no number at all", "LISTEN_PID=$$", nil, "LISTEN_FDS"},
		{"more than there are", "LISTEN_PID=$$ LISTEN_FDS=60000", nil, "of 60000 from the service manager"},
		{"too few names", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http", nil, "1 names for 2 sockets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, ports := bequeath(t, tt.env)
			if !slices.Equal(h.Inherited, tt.want) || !h.CloseOnExec {
				t.Errorf("inherited %+v, close-on-exec %v; want %+v", h.Inherited, h.CloseOnExec, tt.want)
			}
			if got, want := fmt.Sprint(h.Ports), fmt.Sprint(ports[:len(tt.want)]); got != want {
				t.Errorf("ports %s, want %s", got, want)
			}
			if (h.Err == "") != (tt.err == "") || !strings.Contains(h.Err, tt.err) {
				t.Errorf("error %q, want %q", h.Err, tt.err)
			}
			if len(h.Left) > 0 {
				t.Errorf("%q is left for others", h.Left)
			}
		})
	}
}
