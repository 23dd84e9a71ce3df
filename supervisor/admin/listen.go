package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Listen opens the control socket at path, or, if that is "", in a directory of
// this user's under a name that tells the address where clients connect. Only
// this user, and root, get an answer on it. Closing it removes it.
func Listen(path string, clients net.Addr, log *slog.Logger) (*Listener, error) {
	if path != "" {
		return listen("", path, log)
	}
	dir, err := ownDirectory()
	if err != nil {
		return nil, fmt.Errorf("no place for the control socket: %w", err)
	}
	removeStale(dir)
	return listen(dir, filepath.Join(dir, nameFor(clients)+suffix), log)
}

// listen listens at path, which is in dir unless the path was given: then dir is "".
func listen(dir, path string, log *slog.Logger) (ln *Listener, err error) {
	l := &Listener{log: log, dir: dir, path: path}
	if dir == "" {
		l.UnixListener, err = listenAt(path)
	} else {
		l.UnixListener, err = listenHidden(dir, path)
	}
	if err != nil {
		return nil, controlError(path, err)
	}
	if l.file, err = identify(path); err != nil {
		l.UnixListener.Close()
		return nil, controlError(path, err)
	}
	return l, nil
}

// listenHidden binds under another name first: who finds a socket that refuses
// connections takes it for one that was left behind.
func listenHidden(dir, path string) (*net.UnixListener, error) {
	switch probe(path) {
	case live: // a process of another container that shares dir has our pid
		return nil, syscall.EADDRINUSE
	case foreign:
		return nil, errForeign
	}
	hidden := filepath.Join(dir, ".new-"+strconv.Itoa(os.Getpid()))
	os.Remove(hidden)
	ln, err := listenAt(hidden)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(hidden, path); err != nil {
		ln.Close()
		os.Remove(hidden)
		return nil, err
	}
	return ln, nil
}

// controlMode lets nobody else connect.
const controlMode = 0o600

func listenAt(path string) (*net.UnixListener, error) {
	switch probe(path) {
	case live:
		return nil, syscall.EADDRINUSE
	case foreign:
		return nil, errForeign
	case stale:
		os.Remove(path)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, controlMode); err != nil {
		ln.Close()
		os.Remove(path)
		return nil, err
	}
	return ln, nil
}

// removeStale removes what stickyds that were killed have left in dir.
func removeStale(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	for _, path := range paths {
		if probe(path) == stale {
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
	path string // "" once it is closed, or detached
	file fileID
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
	to := filepath.Join(l.dir, nameFor(clients)+suffix)
	err := os.Rename(l.path, to)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it was removed, and is opened again where it is to be
	}
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

// Close closes and removes it, unless something else has taken its place.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if file, err := identify(l.path); l.path != "" && err == nil && file == l.file {
		os.Remove(l.path)
	}
	l.path = ""
	return l.UnixListener.Close()
}
