package logs

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ScreenOf returns the size of the terminal that to is, in characters. It may
// change at any time.
func ScreenOf(to io.Writer) (width, height int, ok bool) {
	f, ok := to.(*os.File)
	if !ok {
		return 0, 0, false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var size *unix.Winsize
	ctlErr := raw.Control(func(fd uintptr) { size, err = unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ) })
	if ctlErr != nil || err != nil || size.Col == 0 || size.Row == 0 { // ttys that nobody has given a size have none
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
