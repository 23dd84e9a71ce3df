package workerproto

import (
	"io"
	"io/fs"
	"syscall"
)

// maxSendfile is how many bytes one sendfile may take: no more than the kernel
// sends at once.
const maxSendfile = 1 << 30

// sendFile copies r to the socket without its bytes coming here, if it is a file or
// the first bytes of one. Otherwise handled is false, and nothing was read.
func (s *socket) sendFile(r io.Reader) (written int64, handled bool, err error) {
	left := int64(1<<63 - 1)
	limited, ok := r.(*io.LimitedReader)
	if ok {
		left, r = limited.N, limited.R
	}
	file, ok := r.(interface {
		fs.File // and no socket, or pipe: splice is for those
		syscall.Conn
	})
	if !ok || left <= 0 {
		return 0, false, nil
	}
	in, err := file.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	out, err := s.file.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	readErr := in.Read(func(src uintptr) bool {
		written, err = sendAll(out, int(src), left)
		return true
	})
	if limited != nil {
		limited.N -= written
	}
	if written == 0 && (err == nil || isNoSendfile(err)) {
		return 0, false, nil // also /proc, which sends nothing but can be read
	}
	if err == nil {
		err = readErr
	}
	return written, true, err
}

// sendAll sends up to left bytes, waiting for the socket where it is full.
func sendAll(out syscall.RawConn, src int, left int64) (written int64, err error) {
	waitErr := out.Write(func(dst uintptr) (done bool) {
		for written < left {
			var n int
			n, err = syscall.Sendfile(int(dst), src, nil, int(min(left-written, maxSendfile)))
			if n > 0 {
				written += int64(n)
			}
			switch {
			case err == syscall.EINTR:
			case err == syscall.EAGAIN:
				return false
			case err != nil || n == 0:
				return true
			}
		}
		return true
	})
	if waitErr != nil {
		err = waitErr
	}
	return written, err
}

func isNoSendfile(err error) bool {
	switch err {
	case syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EOVERFLOW:
		return true
	}
	return false
}
