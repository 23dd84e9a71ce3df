// Package upgrade replaces this process's program by another, in place: same
// process number, same descriptors, same children.
//
// Who wants that freezes what it knows into a state, has the other program
// look at it, and becomes the other program:
//
//	state, err := upgrade.Write(meta, blobs)
//	p := upgrade.Plan{Binary: path, Args: os.Args, Env: os.Environ(), State: state, FDs: fds}
//	err = p.Check(ctx) // as a child: BINARY --upgrade-check and our arguments
//	err = p.Exec()     // returns only with an error, and everything undone
//
// A program finds out with [Inherited] how it was started. If it can't make use
// of the state, it becomes the old program again with [Takeover.Return], which
// carries on from the same state and knows why. Nobody can return to a
// program that was itself returned to, so they can't do that for ever.
//
// # Signals
//
// Between exec and the new program's signal.Notify, which is about a
// millisecond, nobody listens to signals. What becomes of them:
//
//   - SIGUSR1 and SIGUSR2 are blocked over the exec. They wait in the kernel,
//     and none is lost.
//   - SIGHUP, SIGTTIN and SIGTTOU are ignored over the exec. One that comes just
//     then is lost, and does no harm.
//   - SIGTERM, SIGINT and SIGQUIT end the process at once, as they end any that does
//     not listen. The Go runtime lets nobody start with these blocked.
//
// What the old program's handlers got in its last moments is carried over. (In a
// program with cgo, signals can't be blocked in all threads: what comes to another
// thread while the kernel executes the new program is lost.) In the new
// program all of them are listened to before main begins, and kept for whoever
// calls [Notify], which such a program uses in place of signal.Notify.
//
// The runtime gives the mask that it was started with to each of its threads,
// and with that to each child. So after an upgrade children must be started with
// [Start], or SIGUSR1 and the like would be blocked in them.
//
// # Descriptors
//
// Handed over are [Plan].FDs, the state, 0, 1 and 2, and whatever else is not
// close-on-exec. In the new process they are close-on-exec before main begins.
//
// # The limit of open files
//
// The Go runtime has raised our soft limit, and gives children, and the
// program that replaces us, the limit that we were started with. A failed exec
// makes it forget that one (syscall.Exec): ours is restored, but children that are
// started after it inherit the raised one.
//
// # Not here
//
// The package knows nothing of what is in the state or behind the descriptors.
// Elsewhere than on Linux [Write], [Plan.Check] and [Plan.Exec] return
// [errors.ErrUnsupported].
package upgrade
