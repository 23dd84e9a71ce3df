// Package terminal says what a file is to the person in front of it: whether it
// is a terminal, how wide that is, whether it wants colours, and how text that
// other programs have written can be shown there without its control characters
// doing anything. It knows nothing of what is said.
package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// UsualWidth is the width in columns to write for where it is not known.
const UsualWidth = 80

// Is reports whether f is a terminal. (/dev/null, a character device too, is
// none.)
func Is(f *os.File) bool {
	_, err := winsize(f)
	return err == nil
}

// Size returns the size of the terminal f in characters, which may change at any
// time. It is not ok if f is no terminal, or one that was never given a size.
func Size(f *os.File) (width, height int, ok bool) {
	size, err := winsize(f)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}

func winsize(f *os.File) (size *unix.Winsize, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) { size, err = unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ) })
	if ctlErr != nil {
		err = ctlErr
	}
	return size, err
}

// Colour reports whether the terminal f is to be written to in colours: not where
// NO_COLOR says so (https://no-color.org), nor where it can't show them.
func Colour(f *os.File) bool {
	term := os.Getenv("TERM")
	return os.Getenv("NO_COLOR") == "" && term != "" && term != "dumb" && Is(f)
}
