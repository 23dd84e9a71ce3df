package fdpass

import "golang.org/x/sys/unix"

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// sendmsg raises no SIGPIPE when the peer is gone: that is EPIPE.
func sendmsg(fd int, b, rights []byte) (n int, err error) {
	for {
		n, err = unix.SendmsgN(fd, b, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// recvmsg sets close-on-exec in the call that opens the descriptors, so that
// no fork in between can leak them.
func recvmsg(fd int, b, rights []byte) (n, nrights int, err error) {
	for {
		n, nrights, _, _, err = unix.Recvmsg(fd, b, rights, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return n, nrights, err
		}
	}
}

// received has nothing to add to what recvmsg did.
func received(fds []int) []int { return fds }
