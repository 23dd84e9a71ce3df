package upgrade

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// held are the signals that matter while one program is replaced by another:
// those that end or stop a process that does not listen to them, and that
// programs like ours do listen to.
var held = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
}

// spared are those that the mask does not protect from, and that must not
// end or stop us: the Go runtime unblocks SIGHUP before anything of ours runs, and
// the others before it installs Notify's handler. They are ignored over the
// exec.
var spared = []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU}

func heldSet() (set unix.Sigset_t) {
	const bits = 8 * int(unsafe.Sizeof(set.Val[0]))
	for _, sig := range held {
		n := int(sig.(syscall.Signal)) - 1
		set.Val[n/bits] |= 1 << (n % bits)
	}
	return set
}

// Start is cmd.Start, with none of those signals blocked in the child.
func Start(cmd *exec.Cmd) error {
	runtime.LockOSThread() // a fork copies its thread's mask
	defer runtime.UnlockOSThread()
	set := heldSet()
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, &before); err != nil {
		return os.NewSyscallError("sigprocmask", err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return cmd.Start()
}

// A record has the signals that this process got since it was begun, each once.
// Other receivers of them in this program got them as well.
type record struct {
	signals []syscall.Signal // once it is paused
	came    chan os.Signal
}

func newRecord() *record {
	r := &record{came: make(chan os.Signal, 1000)}
	r.goOn()
	return r
}

func (r *record) goOn() {
	for _, sig := range heldSignals(nil) { // Notify of none would be of all
		signal.Notify(r.came, sig)
	}
}

// pause returns when all that was received has been put down.
func (r *record) pause() {
	signal.Stop(r.came) // returns when it is in there
	for len(r.came) > 0 {
		if s := (<-r.came).(syscall.Signal); !slices.Contains(r.signals, s) {
			r.signals = append(r.signals, s)
		}
	}
}

func (r *record) end() { signal.Stop(r.came) }

// A gate holds signals back while a program is replaced.
type gate struct {
	guard  chan os.Signal // nothing that comes while the gate is shut ends us
	before unix.Sigset_t
	were   map[syscall.Signal]sigaction // of those that are ignored, and were not
	record *record
}

// shutGate blocks the signals in this thread, which the caller has locked, and
// in all others if it can. Those that another thread got until then are in r,
// which is paused until the gate is opened.
func shutGate(r *record) *gate {
	g := &gate{guard: make(chan os.Signal, 1), were: make(map[syscall.Signal]sigaction), record: r}
	listened := heldSignals(nil)
	for _, sig := range listened { // Notify of none would be of all
		signal.Notify(g.guard, sig)
	}
	set := heldSet()
	unix.PthreadSigmask(unix.SIG_BLOCK, &set, &g.before)
	maskAll(unix.SIG_BLOCK, &set)
	if atGate != nil {
		atGate()
	}
	r.pause()
	for _, sig := range spared {
		if slices.Contains(listened, os.Signal(sig)) {
			g.were[sig] = swapAction(sig, &sigaction{ignore})
		}
	}
	return g
}

// heldSignals returns those of held that are not ignored, or are only because
// the program before us spared them. What is ignored for another reason stays
// so: it survives an exec, and Notify would undo it.
func heldSignals(spared []syscall.Signal) []os.Signal {
	return slices.DeleteFunc(slices.Clone(held), func(sig os.Signal) bool {
		s := sig.(syscall.Signal)
		return swapAction(s, nil)[0] == ignore && !slices.Contains(spared, s)
	})
}

// atGate is called while the gate is being shut; for tests.
var atGate func()

// open lets signals through again.
func (g *gate) open() {
	for sig, was := range g.were {
		swapAction(sig, &was)
	}
	g.record.goOn() // before one can come again
	set := heldSet()
	maskAll(unix.SIG_UNBLOCK, &set)
	unix.PthreadSigmask(unix.SIG_SETMASK, &g.before, nil)
	signal.Stop(g.guard)
}

// maskAll changes the mask of all threads. It does nothing in a program with
// cgo, whose threads the runtime does not all know.
func maskAll(how int, set *unix.Sigset_t) {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(set)), 0, sigsetSize, 0, 0)
	if errno != 0 && !errors.Is(errno, syscall.ENOTSUP) {
		panic("sigprocmask: " + errno.Error())
	}
}

// sigaction is the kernel's, with room to spare: the handler comes first, and
// the rest is the architecture's. (On MIPS neither that nor sigsetSize is so.)
type sigaction [8]uintptr

const (
	ignore     = 1 // SIG_IGN
	sigsetSize = 8 // of the kernel's set, in bytes
)

// swapAction is sigaction(2), behind the runtime's back: signal.Ignore would
// forget who has called Notify, and could not be undone. A nil changes nothing.
func swapAction(sig syscall.Signal, to *sigaction) (was sigaction) {
	syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(&was)), sigsetSize, 0, 0)
	return was
}
