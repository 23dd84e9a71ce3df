// Package fdpass moves open descriptors between two processes over a stream
// socketpair.
//
// The parent calls [Pair], gives the child's end to exec and closes it:
//
//	parent, child, err := fdpass.Pair(nil)
//	cmd.ExtraFiles = []*os.File{child} // descriptor 3 in the child
//	err = cmd.Start()
//	child.Close() // else the parent never sees the child's end of file
//
// The child calls [Adopt] with that number.
//
// Sending duplicates a descriptor into the peer and leaves the sender's own
// copy open: after a nil error the peer owns a copy even if it has not read it
// yet, and the sender still closes its own exactly once. After an error the
// peer has nothing.
//
// A stream has no message borders, but on Linux these hold (unix(7), and
// unix_stream_read_generic in net/unix/af_unix.c), and callers build on them:
//
//   - a send of at most [MaxMessage] bytes is taken whole or not at all;
//   - descriptors arrive with the first byte of the send that carried them;
//   - one receive never returns descriptors of two sends. What came before
//     without descriptors may stand in front of it in the same receive.
//   - a receiver that can't open more descriptors (RLIMIT_NOFILE) gets the
//     bytes, no error, and fewer descriptors than were sent (MSG_CTRUNC): the
//     last ones are missing. So the bytes must say how many were sent.
//
// Received descriptors are close-on-exec. File status flags, O_NONBLOCK among
// them, belong to the open file and come as the sender had them.
//
// Package fdpass never looks inside the bytes that it carries: their meaning
// is workerproto's.
package fdpass
