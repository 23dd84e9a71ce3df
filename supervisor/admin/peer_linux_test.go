package admin

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Others are turned away also where the file system lets them in.
func TestOtherUsersAreTurnedAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	serve(t, path, port3000)
	for file, mode := range map[string]os.FileMode{path: 0o666, publicDirectory: 0o755} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	for uid, answered := range map[int]bool{0: true, 65534: false} {
		fd, err := connectAs(uid, path)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "client")
		c, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("GET /v1/status HTTP/1.0\r\n\r\n")) // fails where it was closed already
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if n, _ := c.Read(make([]byte, 100)); (n > 0) != answered {
			t.Errorf("user %d got %d bytes", uid, n)
		}
		c.Close()
	}
}

// connectAs connects as another user. On Linux each thread has a user of its
// own; this one is ended afterwards, since nothing unlocks it.
func connectAs(uid int, path string) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			err = errno
			return
		}
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
	}()
	<-done
	return fd, err
}

// One whose queue is full is not one that is gone.
func TestBusyIsNotStale(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	addr := &unix.SockaddrUnix{Name: path}
	socket := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	ln := socket()
	if err := unix.Bind(ln, addr); err != nil {
		t.Fatal(err)
	}
	if got := probe(path); got != stale {
		t.Errorf("of one that does not listen: %v", got)
	}
	if err := unix.Listen(ln, 0); err != nil {
		t.Fatal(err)
	}
	for unix.Connect(socket(), addr) == nil {
	}
	if got := probe(path); got != live {
		t.Errorf("of one that is busy: %v", got)
	}
	if _, err := Listen(path, port3000, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("its place was taken")
	}
}
