package upgrade

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Write makes a state in anonymous memory and seals it: nobody who has the
// descriptor can change it any more. meta is put down as JSON. Each blob writes
// its section itself, in the order of the names; nothing of it is held in
// memory twice. The caller closes the file.
func Write(meta any, blobs map[string]func(io.Writer) error) (*os.File, error) {
	f, err := newMemfd()
	if err != nil {
		return nil, fmt.Errorf("cannot make a file for the state: %w", err)
	}
	if err := write(f, meta, blobs); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write the state: %w", err)
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot seal the state: %w", err)
	}
	return f, nil
}

func newMemfd() (*os.File, error) {
	const name, flags = "stickyd-state", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL) // where vm.memfd_noexec wants it
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags) // before Linux 6.3
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
