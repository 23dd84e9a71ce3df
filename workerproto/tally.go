package workerproto

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/stickyd/stickyd/fdpass"
)

// A tally is the page on which a worker counts what it took and closed, in
// place of TAKEN and CLOSED: a store where there would be a system call and, at
// the other end, somebody to wake. PROTOCOL.md has its layout.
type tally struct {
	page *fdpass.Page

	taken  *atomic.Uint64 // the worker's: id up to which connections are taken
	closed *atomic.Uint64 // the worker's: how many that were load have ended
	ask    *atomic.Uint32 // stickyd's: 1 if it wants a TAKEN as well
}

func newTally(p *fdpass.Page) *tally {
	b := p.Bytes()
	return &tally{
		page:   p,
		taken:  (*atomic.Uint64)(unsafe.Pointer(&b[0])),
		closed: (*atomic.Uint64)(unsafe.Pointer(&b[8])),
		ask:    (*atomic.Uint32)(unsafe.Pointer(&b[64])), // in another cache line than the worker's
	}
}

// take says on a worker's side that connections up to id are taken. It reports
// whether stickyd wants to hear it in a frame as well.
func (t *tally) take(id uint64) (asked bool) {
	t.taken.Store(id)
	// Both sides store before they load (package sync/atomic keeps the order):
	// either we see that stickyd asks, or it sees what we took.
	return t.ask.Load() != 0 && t.ask.Swap(0) != 0
}

// openTally opens a tally, if this system and the loop allow, and returns the
// descriptor that the worker is to get, which is the Link's. What is counted
// there is looked at in each turn of the loop, and nobody is woken for it.
// l.read is held.
func (l *Link) openTally() (fd int, ok bool) {
	page, fd, err := fdpass.NewPage()
	if err != nil {
		return -1, false
	}
	l.tally.Store(newTally(page)) // before the first turn
	stop, ok := l.conn.EachTurn(l.turn)
	if !ok {
		l.tally.Store(nil)
		page.Unmap()
		fdpass.Close(fd)
		return -1, false
	}
	l.stopTurns, l.pageFD = stop, fd
	return fd, true
}

// tallyPeriod is how often the tally is looked at where there is no loop.
const tallyPeriod = 20 * time.Millisecond

// lookRegularly is for a Link that has a tally from an earlier program, and
// perhaps no loop in this one.
func (l *Link) lookRegularly() (stop func()) {
	if stop, ok := l.conn.EachTurn(l.turn); ok {
		return stop
	}
	var looking sync.WaitGroup
	life, end := context.WithCancel(context.Background())
	looking.Go(func() {
		ticker := time.NewTicker(tallyPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-life.Done():
				return
			case <-ticker.C:
				l.turn()
			}
		}
	})
	return func() {
		end()
		looking.Wait()
	}
}

// closeTally counts for the last time.
func (l *Link) closeTally() {
	l.read.Lock()
	stop := l.stopTurns
	l.stopTurns = nil
	l.read.Unlock()
	if stop != nil {
		stop() // which waits for turn, and turn for l.read
	}
	l.read.Lock()
	defer l.read.Unlock()
	l.count()
	if t := l.tally.Swap(nil); t != nil {
		t.page.Unmap()
	}
}

// turn is called in each turn of the loop. It returns true if nothing is to be
// expected on the tally.
func (l *Link) turn() (rest bool) {
	if t := l.tally.Load(); t.taken.Load() != l.takenSeen.Load() || t.closed.Load() != l.closedSeen.Load() {
		l.lookAtTally()
	}
	return l.waiting.Load() == 0
}

func (l *Link) lookAtTally() {
	l.read.Lock()
	defer l.read.Unlock()
	if err := l.count(); err != nil && l.failed == nil {
		l.fail(err)
	}
}

// count deals with what is new on the tally. l.read is held.
func (l *Link) count() error {
	t := l.tally.Load()
	if t == nil || l.failed == ErrFrozen {
		return nil
	}
	taken, closed := t.taken.Load(), t.closed.Load()
	before := l.closedSeen.Swap(closed)
	if l.takenSeen.Swap(taken) != taken {
		if err := l.take(taken); err != nil {
			return err
		}
	}
	switch {
	case closed < before:
		return protocolErrorf("the number of closed connections went from %d back to %d", before, closed)
	case closed > before:
		return l.settleClosed(closed - before)
	}
	return nil
}

// askForRoom lets the worker say in a frame, too, when it has taken some:
// others wait for that.
func (l *Link) askForRoom() {
	l.read.Lock()
	if t := l.tally.Load(); t != nil {
		t.ask.Store(1)
	}
	l.read.Unlock()
	l.lookAtTally() // perhaps it took some before it could see that we ask
}
