package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

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
}

// open makes the pipe and returns the child's end, which the caller closes.
func (o *output) open() (child *os.File, err error) {
	o.file, child, err = os.Pipe()
	o.done = make(chan struct{})
	return child, err
}

func (o *output) close() { o.file.Close() }

// copy passes on lines until the last writer has closed the pipe, or finish.
func (o *output) copy(to func(*Worker, logs.Stream, []byte)) {
	defer close(o.done)
	defer o.file.Close()
	r := bufio.NewReaderSize(o.file, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			line = bytes.TrimRight(line, "\r\n")
			o.worker.last.add(line)
			to(o.worker, o.stream, line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
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
