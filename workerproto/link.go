package workerproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// A Connection is one on its way to a worker.
type Connection struct {
	// FD is the connection's descriptor. Whoever holds the Connection owns it.
	FD int

	// Replay is what was already read off it, at most MaxReplay bytes: the
	// worker reads it first.
	Replay []byte

	// Session says that it belongs to a live session of this worker, so that
	// it does not count as load by itself.
	Session bool

	// Refusals is how many workers could not take it. A Link gives it back
	// untouched.
	Refusals int
}

// A Handler is told what a worker says. Its methods are called one at a time,
// in the order of the worker's frames, and must neither block nor call Sync or
// Close of any Link.
type Handler interface {
	// Ready: the worker accepts connections from now on.
	Ready()

	Traffic
}

// Traffic is what a worker says of its sessions and connections.
type Traffic interface {
	// Bind: the session is this worker's. It returns false to refuse. id is
	// valid during the call.
	Bind(id []byte) bool

	// Unbind: the session has ended.
	Unbind(id []byte)

	// Taken: the worker's application has accepted n more connections.
	Taken(n int)

	// Settled: n connections count as load no longer: they have ended, or
	// became part of a session.
	Settled(n int)

	// Leaving: the worker wants no new sessions.
	Leaving()

	// Unreachable: the worker lives on and keeps its sessions, and no connection
	// can be given to it until Reachable is called.
	Unreachable()

	// Reachable undoes Unreachable.
	Reachable()

	// Returned: the worker gives a connection back, for a request that is
	// another worker's. The receiver owns c.
	Returned(c Connection)

	// Declined: the worker never had the connection. The receiver owns c.
	Declined(c Connection)
}

// ErrEnded is returned once no more connections go from stickyd to the worker:
// by Hand on the one side, by Accept on the other. It is net.ErrClosed as well,
// which is what loops around Accept look for.
var ErrEnded = fmt.Errorf("workerproto: no more connections go to the worker: %w", net.ErrClosed)

// ErrLeft is what ended a conversation if the worker took its leave: it wants
// no more connections and finishes what is open.
var ErrLeft = errors.New("workerproto: the worker has left")

// A Link is stickyd's side of the conversation with one worker process. It
// owns the control socket and the connections that the worker has not taken.
//
// All methods may be called from any goroutine, but those that Handler names
// not from a Handler.
type Link struct {
	conn    *fdpass.Conn
	terms   Terms
	handler Handler

	read   sync.Mutex // held while receiving and handling frames
	stream stream
	state  linkState
	ledger ledger
	failed error // what ended receiving, io.EOF included

	tally      atomic.Pointer[tally] // nil if the worker says all in frames
	stopTurns  func()                // nil if there is none
	takenSeen  atomic.Uint64         // on the tally; set with read held
	closedSeen atomic.Uint64         // the same
	pageFD     int                   // its descriptor, which may be on its way still; -1 for none
	waiting    atomic.Int64          // len(untaken); set with write held

	hub        *Hub
	topics     int                 // that the worker has subscribed to
	unfinished map[string]struct{} // topics of which it has published a part

	write   sync.Mutex // taken inside read, never the other way round
	out     outbox
	untaken []untaken // in the order of their ids
	took    time.Time // when the worker took one last
	lastID  uint64    // of the last connection handed
	stuck   bool      // the socket is full, and the writer waits for room
	ended   bool
	slow    bool // it did not read what others had published

	full chan struct{} // buffered 1: the socket is full, wait for room

	// See Freeze.
	frozenAt time.Time
	socket   int           // what is left of conn then; -1 for none
	over     bool          // the conversation had ended when it was thawed
	ran      chan struct{} // closed when Run has returned
}

// An untaken is a connection that the worker has been sent, or is about to be.
type untaken struct {
	Connection
	id uint64
	at time.Time // when Flush sent it; zero before
}

type linkState uint8

const (
	awaitHello linkState = iota
	awaitReady
	ready
)

// maxOutbox bounds in bytes what waits for a worker that does not read, beside
// the connections that its window bounds.
const maxOutbox = 1 << 20

// maxPublished bounds in bytes what others have published and this worker has
// not read.
const maxPublished = 128 << 20

// maxFrozen bounds in bytes what of that a state has: it is written and read while
// nobody is accepted, and each worker's has it anew.
const maxFrozen = 8 << 20

// NewLink takes ownership of conn. Run must be called. Workers whose links have
// the same hub hear what the others publish.
func NewLink(conn *fdpass.Conn, terms Terms, h Handler, hub *Hub) *Link {
	return &Link{
		conn: conn, terms: terms, handler: h,
		hub: hub, unfinished: make(map[string]struct{}),
		stream: stream{conn: conn},
		out:    outbox{conn: conn},
		full:   make(chan struct{}, 1),
		ran:    make(chan struct{}),
		pageFD: -1, socket: -1,
	}
}

// Run receives frames and calls the handler until the worker closes its end
// (nil), breaks the protocol (an error that is ErrProtocol), or Close is
// called (nil) or Freeze (ErrFrozen). Then it closes the socket. It returns once its goroutines have
// ended.
func (l *Link) Run() error {
	if l.over {
		return l.endedBy()
	}
	defer close(l.ran)
	l.resume()
	var writer sync.WaitGroup
	life, end := context.WithCancel(context.Background())
	writer.Go(func() { l.writeWhenFull(life) })
	l.conn.OnReadable(func() poll.Next {
		_, err := l.receive()
		return goOn(err)
	})
	end()
	writer.Wait()

	l.read.Lock()
	defer l.read.Unlock()
	if l.failed == ErrFrozen { // and Freeze takes the socket
		return ErrFrozen
	}
	if l.failed == nil {
		l.failed = ErrEnded // the poller's error
	}
	l.conn.Close()
	l.hub.leave(l, l.unfinished)
	l.write.Lock()
	defer l.write.Unlock()
	return l.endedBy()
}

// endedBy returns what Run returns. read and write are held.
func (l *Link) endedBy() error {
	switch {
	case l.slow:
		return protocolErrorf("the worker does not read: too much of what others published waits for it")
	case errors.Is(l.failed, ErrProtocol):
		return l.failed
	}
	return nil
}

// deliver passes on a frame of another worker's message. frame is shared with
// other links.
func (l *Link) deliver(frame []byte) {
	l.write.Lock()
	defer l.write.Unlock()
	switch {
	case l.ended || l.slow:
		return
	case l.out.bulk+len(frame) > maxPublished:
		l.slow = true
		l.conn.Shutdown() // ends Run
		return
	}
	l.out.pushBulk(frame)
	l.flushLocked()
}

// syncBytes is more than a control socket holds: a worker that goes on and on
// can't keep Sync from returning.
const syncBytes = 4 << 20

// Sync handles every frame that the worker had sent when Sync was called.
func (l *Link) Sync() {
	for budget := syncBytes; budget > 0; {
		n, err := l.receive()
		if err != nil {
			return
		}
		budget -= n
	}
}

// goOn says how to go on after a receive.
func goOn(err error) poll.Next {
	if err == nil {
		return poll.More
	}
	return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
}

// receive receives once and handles the frames that are whole by then. n is
// how many bytes came.
func (l *Link) receive() (n int, err error) {
	l.read.Lock()
	defer l.read.Unlock()
	if l.failed != nil {
		return 0, l.failed
	}
	n, err = l.stream.receive()
	if err == nil {
		err = l.handleFrames()
	}
	if err != nil && !errors.Is(err, fdpass.ErrWouldBlock) {
		l.fail(err)
	}
	return n, err
}

// fail ends the conversation. l.read is held.
func (l *Link) fail(err error) {
	l.failed = err
	l.stream.close()
	if !errors.Is(err, io.EOF) {
		l.conn.Shutdown() // ends Run where it was not Run that met the error
	}
}

// Hand takes ownership of a connection for the worker, to which it goes with
// the next Flush, together with others: the caller sees to it that no more than
// the window are untaken. After an error the caller owns it still.
func (l *Link) Hand(c Connection) error {
	var flags uint8
	if c.Session {
		flags = FlagSession
	}
	l.write.Lock()
	defer l.write.Unlock()
	if l.ended {
		return ErrEnded
	}
	l.ledger.handed(c)
	l.lastID++
	// Before it is sent: the answer may be here before flush returns.
	l.untaken = append(l.untaken, untaken{Connection: c, id: l.lastID})
	l.waiting.Store(int64(len(l.untaken)))
	l.out.pushConn(Conn, flags, l.lastID, c.Replay, c.FD)
	return nil
}

// Flush sends what Hand has taken, and does not wait.
func (l *Link) Flush() {
	l.write.Lock()
	l.flushLocked()
	now := time.Now() // from here on it is the worker that others wait for
	for i := len(l.untaken) - 1; i >= 0 && l.untaken[i].at.IsZero(); i-- {
		l.untaken[i].at = now
	}
	full := len(l.untaken) >= l.terms.Window
	l.write.Unlock()
	l.conn.Stir() // it may be at rest, and only the tally says what is taken
	if full {
		l.askForRoom()
	}
}

// Drain tells the worker that it gets no new sessions and has this long for
// the ones that it has. finish tells it that no connection will come at all:
// it finishes what is open and ends.
func (l *Link) Drain(limit time.Duration, finish bool) {
	l.write.Lock()
	defer l.write.Unlock()
	if l.ended {
		return
	}
	ms := min(limit.Milliseconds(), 1<<32-1)
	l.pushLocked(appendCount(nil, Drain, uint32(ms)))
	if finish {
		l.ended = true
		l.finishLocked()
	}
}

// finishLocked closes our direction once everything has been sent.
func (l *Link) finishLocked() {
	if l.out.size == 0 {
		l.conn.CloseWrite()
	}
}

// pushLocked sends a frame.
func (l *Link) pushLocked(frame []byte) {
	l.out.push(frame, -1)
	l.flushLocked()
}

// flushLocked sends what was pushed, or leaves that to the writer where the
// socket is full. Errors are left to the receiving side: a socket that can't
// be written reads as end of file.
func (l *Link) flushLocked() {
	if l.stuck {
		return
	}
	if errors.Is(l.sendLocked(), fdpass.ErrWouldBlock) {
		l.stuck = true
		l.full <- struct{}{}
	}
}

func (l *Link) sendLocked() error {
	err := l.out.flush()
	if err == nil && l.ended {
		l.finishLocked()
	}
	return err
}

// writeWhenFull sends what found the socket full.
func (l *Link) writeWhenFull(life context.Context) {
	for {
		select {
		case <-life.Done():
			return
		case <-l.full:
		}
		l.out.wait(life, func() error {
			l.write.Lock()
			defer l.write.Unlock()
			err := l.sendLocked()
			l.stuck = errors.Is(err, fdpass.ErrWouldBlock)
			return err
		})
	}
}

// UntakenSince returns since when a connection has waited for the worker without
// its taking any; ok is false if none waits. A worker that is slow, but takes
// one after the other, is not stuck.
func (l *Link) UntakenSince() (at time.Time, ok bool) {
	l.lookAtTally()
	l.write.Lock()
	defer l.write.Unlock()
	if len(l.untaken) == 0 || l.untaken[0].at.IsZero() {
		return time.Time{}, false
	}
	if at = l.untaken[0].at; at.Before(l.took) {
		at = l.took
	}
	return at, true
}

// RegistersLate says whether the worker may announce a session only after it
// answered the request that started it. One that keeps to this protocol does
// not.
func (l *Link) RegistersLate() bool { return false }

// Hint says what may be wrong with a worker that does not get ready.
func (l *Link) Hint() string {
	l.read.Lock()
	defer l.read.Unlock()
	if l.state == awaitHello {
		return "does it use a stickyd worker library?"
	}
	return "it uses a stickyd worker library, but is not ready: does it call Serve or Accept, and Ready where it has called HoldReady?"
}

// Close ends the conversation. It first handles what the worker had sent, so
// that what it had taken is known, and returns the connections that it never
// took, which are the caller's now. No handler is called after it has
// returned. Only the first call returns connections, and none does if Freeze has
// ended the conversation: the State has them.
func (l *Link) Close() []Connection {
	if l.isFrozen() {
		return nil
	}
	l.Sync()
	l.stopReceiving() // first: a HELLO would open a tally
	l.closeTally()
	l.conn.Shutdown() // ends Run, which closes it

	l.write.Lock()
	defer l.write.Unlock()
	l.ended = true
	orphans := make([]Connection, 0, len(l.untaken))
	for _, u := range l.untaken {
		orphans = append(orphans, u.Connection)
	}
	l.untaken = nil
	l.waiting.Store(0)
	l.out.drop() // its connections are the caller's
	if l.pageFD >= 0 {
		fdpass.Close(l.pageFD) // nothing more can bring it to the worker
		l.pageFD = -1
	}
	return orphans
}

// isFrozen reports whether it was Freeze that ended the conversation.
func (l *Link) isFrozen() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.failed == ErrFrozen
}

func (l *Link) stopReceiving() {
	l.read.Lock()
	defer l.read.Unlock()
	if l.failed == nil {
		l.failed = ErrEnded
		l.stream.close()
	}
}
