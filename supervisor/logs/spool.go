package logs

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// spoolSize is how many bytes wait for a reader, or for room on a disk, before
// further records are lost.
const spoolSize = 4 << 20

// A spool is a writer that does not wait: what its file does not take at once is
// kept, up to a limit, and written in order by a goroutine of its own. Of records
// that are lost it says how many. A record is written whole, or not at all: one
// that a full disk cuts is finished as soon as there is room, or, where the file
// was changed meanwhile, begun anew on a line of its own.
type spool struct {
	file     *os.File
	terminal bool // nothing is written that a terminal would act on
	colour   bool
	note     func(lost int, why string) []byte // the record that stands for those that are lost
	troubled func(err error)                   // is told when writing begins to fail, and with nil when it works again
	wake     chan struct{}                     // buffered 1: there is something to do
	closing  chan struct{}                     // closed by close
	done     chan struct{}                     // closed when the goroutine has ended
	once     sync.Once                         // for closing

	mu      sync.Mutex
	queue   queue
	lost    int    // records, since the last note
	failure string // why writing fails; "" while it works
	why     string // the failure when the first of those was lost
	midLine bool   // the file may end within a line, where that does not show
	status  string // what is to stand below the last line

	looked bool   // run has found out whether the file ends within a line
	shown  string // the status that run has written
}

// newSpool borrows file.
func newSpool(file *os.File, note func(lost int, why string) []byte, troubled func(error)) *spool {
	s := &spool{
		file: file, terminal: terminal.Is(file), colour: terminal.Colour(file), note: note, troubled: troubled,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// Write takes a whole record. It never fails.
func (s *spool) Write(record []byte) (int, error) {
	n := len(record)
	if s.terminal {
		record = terminal.AppendVisible(nil, record, s.colour)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.bytes+len(record) > spoolSize {
		s.lose(1)
		return n, nil
	}
	s.noteLost()
	s.queue.add(record)
	s.rouse()
	return n, nil
}

// lose is called with the lock held, as is noteLost.
func (s *spool) lose(records int) {
	if s.lost == 0 {
		s.why = s.failure
	}
	s.lost += records
}

// noteLost says where records are missing.
func (s *spool) noteLost() {
	if s.lost > 0 {
		record := s.note(s.lost, s.why)
		s.lost = 0
		s.queue.add(record)
	}
}

func (s *spool) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes until close was called and nothing is left, or nothing can be
// written.
func (s *spool) run() {
	defer close(s.done)
	for range s.wake {
		for p := s.next(); p != nil; p = s.next() {
			s.show("")
			if !s.put(p) {
				return
			}
		}
		if s.closed() {
			s.show("")
			return
		}
		s.show(s.wanted())
	}
}

// next returns what is to be written next, or nil. What it returned before is
// written.
func (s *spool) next() *piece {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue.waiting) == 0 {
		s.noteLost()
	}
	return s.queue.next()
}

// How long it is waited before writing is tried again: for room on a disk, and
// for a reader where somebody who shares the file has made it non-blocking.
const (
	roomPause   = 250 * time.Millisecond
	readerPause = 5 * time.Millisecond
)

// put writes a piece, however often that fails. Once close was called it is tried
// one more time, and the result is false if that fails, too.
func (s *spool) put(whole *piece) bool {
	p := *whole
	if s.findsLine() {
		p = p.anew(true)
	}
	for {
		last := s.closed()
		n, err := s.file.Write(p.rest())
		p.written += n
		if err == nil {
			s.fails(nil)
			return true
		}
		if last {
			s.giveUp(&p)
			return false
		}
		pause := readerPause
		if !errors.Is(err, syscall.EAGAIN) {
			s.fails(err)
			pause = roomPause
		}
		select {
		case <-s.closing:
		case <-time.After(pause):
		}
		if cut := p.cut(); len(cut) > 0 && !endsWith(s.file, cut) { // others have emptied it, or wrote to it
			p = p.anew(endsWithinLine(s.file, true))
		}
	}
}

// giveUp keeps for state what can't be written.
func (s *spool) giveUp(rest *piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.writing = rest
}

// findsLine reports, the first time, whether the file ends within a line of
// somebody else's.
func (s *spool) findsLine() bool {
	if s.looked {
		return false
	}
	s.looked = true
	s.mu.Lock()
	assume := s.midLine
	s.mu.Unlock()
	return endsWithinLine(s.file, assume)
}

// fails notes whether writing fails now.
func (s *spool) fails(err error) {
	failure := ""
	if err != nil {
		failure = errno(err)
	}
	s.mu.Lock()
	changed := s.failure != failure
	s.failure = failure
	s.mu.Unlock()
	if changed {
		s.troubled(err)
	}
}

// errno is an error without the name of the file.
func errno(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

func (s *spool) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// close returns when all is written, or can't be, or late is done. Further calls
// are fine.
func (s *spool) close(late context.Context) {
	s.once.Do(func() { close(s.closing) })
	s.rouse()
	select {
	case <-s.done:
	case <-late.Done():
	}
}
