package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/stickyd/stickyd/fdpass/address"
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
		if err := checkMetrics(addr); err != nil {
			errs = append(errs, metricsError(addr, err))
		}
	}
	return errors.Join(errs...)
}

// checkSocket returns the error that the control socket could not be made with.
func checkSocket(path string) error {
	if probe(path) == foreign {
		return errForeign
	}
	return address.CheckSocket(path)
}

// checkMetrics returns the error that an address could not be listened on with,
// whatever its port.
func checkMetrics(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkSocket(path)
	}
	return address.Check(addr)
}

// errForeign: that is at the path where a socket is to be.
var errForeign = errors.New("a file that is not a socket of this user's is there; choose another path")

func controlError(path string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot open the control socket %s: %w", path, address.InUse("unix:"+path, "--control"))
	}
	return fmt.Errorf("cannot open the control socket %s: %w", path, plainly(err))
}

func metricsError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot serve metrics on %s: %w", addr, address.InUse(addr, "--metrics"))
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
