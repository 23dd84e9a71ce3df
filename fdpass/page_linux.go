package fdpass

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const pageSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// NewPage returns a page of zeros and its descriptor, both the caller's
// (memfd_create(2)).
func NewPage() (p *Page, fd int, err error) {
	fd, err = unix.MemfdCreate("stickyd", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, -1, fmt.Errorf("cannot share memory: %w", os.NewSyscallError("memfd_create", err))
	}
	// Not ftruncate, which gives it no memory: if there is none at the first
	// touch, that ends the process.
	err = os.NewSyscallError("fallocate", unix.Fallocate(fd, 0, 0, PageSize))
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, pageSeals)
	}
	if err == nil {
		p, err = mapPage(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("cannot share memory: %w", err)
	}
	return p, fd, nil
}

// MapPage maps a page by its descriptor, which stays the caller's. What is no
// page, or could be made smaller, is refused: touching memory that is not there
// would end the process.
func MapPage(fd int) (*Page, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("cannot map descriptor %d: not a sealed page", fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size != PageSize {
		return nil, fmt.Errorf("cannot map descriptor %d: not %d bytes", fd, PageSize)
	}
	return mapPage(fd)
}

func mapPage(fd int) (*Page, error) {
	mem, err := unix.Mmap(fd, 0, PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Page{mem}, nil
}

// Unmap gives the memory back; nobody may use it any more.
func (p *Page) Unmap() {
	unix.Munmap(p.mem)
	p.mem = nil
}
