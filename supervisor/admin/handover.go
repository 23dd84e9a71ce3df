package admin

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A ListenerState is a listener on its way into another process by exec, or back
// into the same one. It can be written as JSON.
type ListenerState struct {
	FD   int    `json:"fd"`             // owned by whoever has the state; close-on-exec until that clears it
	Path string `json:"path,omitempty"` // of a Unix socket that is to be removed in the end
	Dir  string `json:"dir,omitempty"`  // where the control socket's name was chosen by us
	File fileID `json:"file,omitzero"`
}

// A fileID tells whether a path still names the same file.
type fileID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

func identify(path string) (fileID, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return fileID{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, fmt.Errorf("%s has no inode", path)
	}
	return fileID{uint64(stat.Dev), stat.Ino}, nil
}

// Detach takes the socket out of the listener, which is closed. The file stays
// and connections go on to queue: whoever adopts the state accepts them.
func (l *Listener) Detach() (ListenerState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd, err := duplicate(l.UnixListener)
	if err != nil {
		return ListenerState{}, fmt.Errorf("cannot detach the control socket: %w", err)
	}
	s := ListenerState{FD: fd, Path: l.path, Dir: l.dir, File: l.file}
	l.path = ""
	l.UnixListener.Close()
	return s, nil
}

// Adopt makes a control socket again of what Detach returned. It owns the
// descriptor from then on, also if there is an error.
func Adopt(s ListenerState, log *slog.Logger) (*Listener, error) {
	ln, err := adopted(s.FD)
	if err != nil {
		return nil, fmt.Errorf("cannot adopt the control socket: %w", err)
	}
	control, ok := ln.(*net.UnixListener)
	if !ok {
		ln.Close()
		return nil, fmt.Errorf("cannot adopt the control socket: it is at %s", ln.Addr())
	}
	return &Listener{UnixListener: control, log: log, dir: s.Dir, path: s.Path, file: s.File}, nil
}

// DetachMetrics does for a listener of ListenMetrics what Detach does for the
// control socket.
func DetachMetrics(ln net.Listener) (ListenerState, error) {
	fd, err := duplicate(ln.(syscall.Conn))
	if err != nil {
		return ListenerState{}, fmt.Errorf("cannot detach a listener for metrics: %w", err)
	}
	s := ListenerState{FD: fd}
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
		s.Path = ln.Addr().String()
	}
	ln.Close()
	return s, nil
}

// AdoptMetrics makes a listener again of what DetachMetrics returned. It owns the
// descriptor from then on, also if there is an error.
func AdoptMetrics(s ListenerState) (net.Listener, error) {
	ln, err := adopted(s.FD)
	if err != nil {
		return nil, fmt.Errorf("cannot adopt a listener for metrics: %w", err)
	}
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(true)
	}
	return ln, nil
}

// duplicate returns another descriptor, close-on-exec, of the same socket.
func duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// adopted makes a listener of a descriptor, which is closed.
func adopted(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "listener")
	if file == nil {
		return nil, syscall.EBADF
	}
	defer file.Close()
	return net.FileListener(file) // has a duplicate, which is close-on-exec
}
