package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// endsWith reports whether the last that was written to f is text. What is no file
// in a file system can't be changed by others, and where it can't be read it may
// have been.
func endsWith(f *os.File, text []byte) bool {
	last, err := lastBytes(f, len(text))
	return errors.Is(err, errNoFile) || err == nil && bytes.Equal(last, text)
}

// endsWithinLine reports whether the last line of a file has no end. It returns
// assume where that can't be known.
func endsWithinLine(f *os.File, assume bool) bool {
	last, err := lastBytes(f, 1)
	if err != nil {
		return assume
	}
	return len(last) > 0 && last[0] != '\n'
}

var errNoFile = errors.New("not a file in a file system")

// lastBytes reads the last n bytes of a file, or as many as there are. f may be
// for writing only.
func lastBytes(f *os.File, n int) (last []byte, err error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	last = make([]byte, min(int64(n), info.Size()))
	ctlErr := raw.Control(func(fd uintptr) {
		var again *os.File
		if again, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			_, err = again.ReadAt(last, info.Size()-int64(len(last)))
			again.Close()
		}
	})
	return last, errors.Join(ctlErr, err)
}

// isPipe reports whether a piece is written to f whole or not at all.
func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}
