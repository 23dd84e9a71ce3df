package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Listen opens the control socket at path, or, if that is "", in a directory of
// this user's under the name of the address where clients connect. Only this
// user, and root, get an answer on it. Closing it removes it.
func Listen(path string, clients net.Addr, log *slog.Logger) (*Listener, error) {
	l := &Listener{log: log, path: path}
	if path == "" {
		dir, err := ownDirectory()
		if err != nil {
			return nil, fmt.Errorf("no place for the control socket: %w", err)
		}
		removeStale(dir)
		l.dir, l.path = dir, pathFor(dir, clients)
	} else if answers(path) {
		return nil, fmt.Errorf("cannot open the control socket: somebody listens on %s already", path)
	}
	var err error
	if l.UnixListener, err = listenAt(l.path); err != nil {
		return nil, fmt.Errorf("cannot open the control socket: %w", err)
	}
	return l, nil
}

// pathFor returns where the socket of a stickyd that listens at clients goes.
func pathFor(dir string, clients net.Addr) string {
	path := filepath.Join(dir, nameFor(clients)+suffix)
	if answers(path) { // another, at the same port of another address
		path = filepath.Join(dir, nameFor(clients)+"-"+strconv.Itoa(os.Getpid())+suffix)
	}
	return path
}

// listenAt binds under another name first: who finds a socket that refuses
// connections takes it for one that was left behind.
func listenAt(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("%s is there and is no socket", path)
	}
	hidden := filepath.Join(filepath.Dir(path), ".new-"+strconv.Itoa(os.Getpid()))
	os.Remove(hidden)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		ln.Close()
		os.Remove(hidden)
		return nil, err
	}
	return ln, nil
}

// removeStale removes what stickyds that were killed have left in dir.
func removeStale(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	for _, path := range paths {
		if !answers(path) {
			os.Remove(path)
		}
	}
}

// A Listener is the control socket.
type Listener struct {
	*net.UnixListener
	log *slog.Logger
	dir string // where we chose its name; "" if it was given

	mu   sync.Mutex
	path string // "" once it is closed
}

// Path is where it is.
func (l *Listener) Path() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.path
}

// Follow gives it the name of another address where clients connect now, if it
// had that of one.
func (l *Listener) Follow(clients net.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == "" || l.path == "" {
		return nil
	}
	to := pathFor(l.dir, clients)
	err := os.Rename(l.path, to)
	if err == nil {
		l.path = to
	}
	return err
}

// Accept returns the next connection of somebody who may.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(c)
		if err == nil && (uid == os.Geteuid() || uid == 0) {
			return c, nil
		}
		l.log.Warn("control connection refused", "uid", uid, "err", err)
		c.Close()
	}
}

// Close closes and removes it.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path != "" {
		os.Remove(l.path)
		l.path = ""
	}
	return l.UnixListener.Close()
}
