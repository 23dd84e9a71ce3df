package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Check returns the errors that the control socket, written as in the
// configuration, and the listeners for metrics could not be opened with, as far
// as that shows without opening them: what another stickyd has is not an error,
// it may be the one that is to be reloaded.
func Check(control string, metrics []string) error {
	var errs []error
	if control != "auto" && control != "off" {
		if err := checkSocket(control); err != nil {
			errs = append(errs, controlError(control, err))
		}
	}
	for _, addr := range metrics {
		if err := checkAddress(addr); err != nil {
			errs = append(errs, metricsError(addr, err))
		}
	}
	return errors.Join(errs...)
}

// checkSocket returns the error that a Unix socket could not be made with.
func checkSocket(path string) error {
	if probe(path) == foreign {
		return errForeign
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return syscall.ENOTDIR
	}
	// With the rights that bind will have: access(2) leaves capabilities out.
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// checkAddress returns the error that an address could not be listened on with,
// whatever its port.
func checkAddress(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkSocket(path)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	return ln.Close()
}

// What may be at a path where a socket is to be.
var (
	errForeign = errors.New("something else is there, no socket of this user's; choose another path")
	errInUse   = errors.New("somebody listens there already; stop the program that does, or choose another path")
)

func controlError(path string, err error) error {
	return fmt.Errorf("cannot open the control socket %s: %w", path, plainly(err))
}

func metricsError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot serve metrics on %s: address already in use; stop the program that has it, or choose another with --metrics", addr)
	}
	return fmt.Errorf("cannot serve metrics on %s: %w", addr, plainly(err))
}

// plainly says what is wrong without the words of package net, which name the
// address again.
func plainly(err error) error {
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the directory does not exist")
	case errors.As(err, &dns):
		return fmt.Errorf("host %s: %s", dns.Name, dns.Err)
	case errors.As(err, &errno):
		return errno
	}
	return err
}
