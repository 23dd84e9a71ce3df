package logs

import (
	"context"
	"os"
	"sync"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// spoolSize is how many bytes of lines wait for a reader before further ones
// are dropped.
const spoolSize = 4 << 20

// A spool is a writer that does not wait: what its file does not take at once
// is kept, up to a limit, and written in order by a goroutine of its own.
type spool struct {
	file     *os.File
	terminal bool // nothing is written that a terminal would act on
	colour   bool
	note     func(dropped int) []byte

	mu      sync.Mutex
	waiting []byte
	status  string // what is to stand below the last line
	shown   string // what stands there
	dropped int    // lines, since the last note
	closed  bool
	wake    chan struct{} // buffered 1: there is something to do
	done    chan struct{} // closed when the goroutine has ended
}

// newSpool borrows file.
func newSpool(file *os.File, note func(dropped int) []byte) *spool {
	s := &spool{file: file, terminal: terminal.Is(file), colour: terminal.Colour(file), note: note, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// Write takes a whole line. It never fails.
func (s *spool) Write(line []byte) (int, error) {
	if s.terminal {
		line = terminal.AppendVisible(nil, line, s.colour)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(line) > spoolSize {
		s.dropped++
		return len(line), nil
	}
	s.waiting = append(s.waiting, line...)
	s.rouse()
	return len(line), nil
}

func (s *spool) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes until close was called and nothing is left. Errors are nobody's
// to hear: the log is where they would be told.
func (s *spool) run() {
	defer close(s.done)
	var writing []byte
	for range s.wake {
		for {
			var ended bool
			if writing, ended = s.take(writing[:0]); len(writing) == 0 {
				if ended {
					return
				}
				break
			}
			s.file.Write(writing)
		}
	}
}

// take exchanges what waits for an empty buffer.
func (s *spool) take(empty []byte) (lines []byte, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, s.waiting = s.waiting, empty
	if s.dropped > 0 {
		lines = append(lines, s.note(s.dropped)...)
		s.dropped = 0
	}
	return s.aboveStatus(lines), s.closed
}

// close returns when all is written, or late is done. Further calls are fine.
func (s *spool) close(late context.Context) {
	s.mu.Lock()
	s.closed, s.status = true, ""
	s.rouse()
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-late.Done():
	}
}
