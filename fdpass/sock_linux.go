package fdpass

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// The system calls here never wait, so the Go scheduler is not told of them
// (RawSyscall): it would let its monitor watch them, which costs more than they
// do. See poll.Loop.

// sendmsg raises no SIGPIPE when the peer is gone: that is EPIPE.
func sendmsg(fd int, b, rights []byte) (n int, err error) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	h := unix.Msghdr{Iov: &iov}
	h.SetIovlen(1)
	if len(rights) > 0 {
		h.Control = &rights[0]
		h.SetControllen(len(rights))
	}
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// recvmsg sets close-on-exec in the call that opens the descriptors, so that
// no fork in between can leak them.
func recvmsg(fd int, b, rights []byte) (n, nrights int, err error) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	h := unix.Msghdr{Iov: &iov, Control: unsafe.SliceData(rights)}
	h.SetIovlen(1)
	h.SetControllen(len(rights))
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch errno {
		case 0:
			return int(r), int(h.Controllen), nil
		case unix.EINTR:
		default:
			return 0, 0, errno
		}
	}
}

// received has nothing to add to what recvmsg did.
func received(fds []int) []int { return fds }

// closeFD closes without waiting, like the calls above: other processes have
// the descriptor, too, or it is a socket's. (One with SO_LINGER waits for its
// peer, but no longer than until the scheduler's next signal.)
func closeFD(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// unread returns how many bytes the peer has not read, in the kernel's way of
// counting.
func unread(fd int) (bytes int, err error) { return unix.IoctlGetInt(fd, unix.TIOCOUTQ) }
