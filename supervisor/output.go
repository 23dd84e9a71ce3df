package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/supervisor/logs"
)

// maxLine is the longest line in bytes that is passed on in one piece.
const maxLine = 64 << 10

// output is the reading end of one of a worker's streams.
type output struct {
	worker *Worker
	stream logs.Stream
	file   *os.File
	done   chan struct{} // closed when copy has returned

	partial []byte // of a line, that came before copy begins, or was there when it was interrupted
	frozen  atomic.Bool
	ended   bool // belongs to copy, until that has returned
}

// open makes the pipe and returns the child's end, which the caller closes.
func (o *output) open() (child *os.File, err error) {
	o.file, child, err = os.Pipe()
	o.done = make(chan struct{})
	return child, err
}

func (o *output) close() { o.file.Close() }

// state gives the pipe away, after interrupt, when copy has returned.
func (o *output) state() OutputState {
	s := OutputState{FD: -1, Partial: o.partial}
	if o.ended {
		return s
	}
	if fd, err := poll.Duplicate(o.file); err == nil {
		s.FD = fd
	}
	o.close()
	return s
}

// resume takes ownership of what state gave away.
func (o *output) resume(from OutputState) {
	o.done, o.partial = make(chan struct{}), from.Partial
	if o.ended = from.FD < 0; !o.ended {
		o.file = os.NewFile(uintptr(from.FD), "worker "+o.stream.String())
	}
}

// copy passes on lines until the last writer has closed the pipe, or finish.
func (o *output) copy(to func(*Worker, logs.Stream, []byte)) {
	defer close(o.done)
	if o.ended {
		return
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(o.partial), o.file), maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) && o.frozen.Load() {
			o.partial = bytes.Clone(line)
			return
		}
		if len(line) > 0 {
			line = bytes.TrimRight(line, "\r\n")
			o.worker.last.add(line)
			to(o.worker, o.stream, line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			o.ended = true
			o.close()
			return
		}
	}
}

// interrupt ends copy; what it has of a line is kept.
func (o *output) interrupt() {
	o.frozen.Store(true)
	o.file.SetReadDeadline(time.Unix(1, 0)) // an error says that it has ended
}

// finish returns when everything has been passed on, after grace at the latest.
func (o *output) finish(grace time.Duration) {
	o.file.SetReadDeadline(time.Now().Add(grace))
	<-o.done
}

// keptLines is how many lines of a worker are kept to explain its death.
const keptLines = 20

// lastLines are the last lines of a worker. Safe for concurrent use.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == keptLines {
		l.lines = slices.Delete(l.lines, 0, 1)
	}
	l.lines = append(l.lines, string(line))
}

func (l *lastLines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}
