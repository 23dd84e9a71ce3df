package nodeipc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// A Link is stickyd's side of the conversation with one Node process. It owns
// the channel and the connections that the worker has not taken.
//
// All methods may be called from any goroutine, but those that
// workerproto.Handler names not from a Handler.
type Link struct {
	conn          *fdpass.Conn
	codec         codec
	serialization Serialization // the codec's
	terms         workerproto.Terms
	handler       workerproto.Handler
	hub           *Hub
	log           *slog.Logger
	places        Places
	wantsHelper   bool // stickyd has had Node load a library of ours
	waitsReady    bool // see Options.WaitReady
	load          load
	adopts        atomic.Bool // it has called setupWorker, or attach

	usual, usualOfSession []byte // the frames that most connections come with
	usualAck              []byte // and the one that answers them

	read      sync.Mutex // held while receiving, and while the handler is told
	stream    stream
	helper    helper
	online    bool   // Node runs
	onlines   int    // how many processes have said so
	wrapper   string // the program that started the one that speaks, such as npm; "" for none
	passing   bool   // and that has not spoken yet
	process   int    // pid of the one that speaks; 0: it has not said
	waitReady bool   // the application says when it is ready
	saidReady bool   // it has
	ready     bool   // connections may come
	away      bool   // though it is ready, nobody in it gets connections
	bound     bool   // it has registered a session, ever
	leaving   bool   // it disconnects of its own accord
	refusal   string // why the last server that asked could not listen; "" if it could
	failed    error  // what ended receiving, io.EOF included

	servers  []*server          // that listen or want to, in the order in which they asked
	patience *time.Timer        // runs out for those that are undecided; nil: none has to wait
	hurry    context.CancelFunc // ends waiting for a probe's answer

	write     sync.Mutex // taken inside read, never the other way round
	out       outbox
	stuck     bool // the socket is full, and the writer waits for room
	parcels   parcels
	asking    *time.Timer // looks again whether the worker has read what was sent; nil: it need not
	accepting []*parcel   // acknowledged, and not yet accepted by the server
	warned    bool        // that it can't have connections that were read from
	took      time.Time   // when the worker took a connection last
	doors     []door      // servers that get connections; none: whoever adopts does
	seq       int         // of the last cluster message sent
	ended     bool        // no more connections are handed over
	broken    error       // why the conversation was ended here

	life      context.Context // done when Run comes to its end
	end       context.CancelFunc
	probing   context.Context // done when the worker is ready, too
	stopProbe context.CancelFunc
	probe     chan struct{} // buffered 1: a process runs, probe it
	full      chan struct{} // buffered 1: the socket is full, wait for room

	// See Freeze.
	frozen   bool // it was called; write is held for it
	frozenAt time.Time
	socket   int           // what is left of conn then; -1 for none
	over     bool          // the conversation had ended when it was thawed
	ran      chan struct{} // closed when Run has returned
}

// Options are what a Link needs beside what every dialect's does.
type Options struct {
	Serialization Serialization
	Hub           *Hub
	Log           *slog.Logger // names the worker
	Places        Places

	// WantsHelper says that stickyd has had Node load a library of ours.
	WantsHelper bool

	// WaitReady says that the worker is ready only when its application has said
	// so: process.send('ready').
	WaitReady bool
}

// NewLink takes ownership of conn. Run must be called.
func NewLink(conn *fdpass.Conn, terms workerproto.Terms, h workerproto.Handler, o Options) *Link {
	c := o.Serialization.codec()
	l := &Link{
		conn: conn, codec: c, serialization: o.Serialization, terms: terms, handler: h,
		hub: o.Hub, log: o.Log, places: o.Places, wantsHelper: o.WantsHelper, waitReady: o.WaitReady, waitsReady: o.WaitReady,
		load:   load{begun: make(chan struct{}, 1)},
		stream: stream{conn: conn, codec: c},
		out:    outbox{conn: conn},
		probe:  make(chan struct{}, 1),
		full:   make(chan struct{}, 1),
		ran:    make(chan struct{}),
		socket: -1,
	}
	l.usual = l.nodeHandle(asSocket, object{{"type", "sticky:connection"}, {"data", ""}})
	l.usualOfSession = l.nodeHandle(asSocket, object{{"type", "sticky:connection"}, {"data", ""}, {"stickyd", ofSession}})
	l.usualAck = c.encode(handleAck)
	l.life, l.end = context.WithCancel(context.Background())
	l.probing, l.stopProbe = context.WithCancel(l.life)
	return l
}

// Run receives messages and calls the handler until the worker closes its end
// (nil, or workerproto.ErrLeft if it had said that it would), breaks the protocol
// or does not read what it is sent (an error that is workerproto.ErrProtocol), or
// Close is called (nil) or Freeze (workerproto.ErrFrozen). Then it closes the
// channel. It returns once its goroutines have ended.
func (l *Link) Run() error {
	if l.over {
		return l.endedBy()
	}
	defer close(l.ran)
	l.hub.join(l)
	l.hub.resumeNews(l)
	l.resume()
	var tasks sync.WaitGroup
	tasks.Go(l.writeWhenFull)
	tasks.Go(l.probeUntilReady)
	tasks.Go(l.expireLoad)
	l.conn.OnReadable(func() poll.Next {
		_, err := l.receive()
		if err == nil {
			return poll.More
		}
		return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
	})
	frozen := l.settleEnd()
	if !frozen {
		l.hub.leave(l)
	}
	l.end()
	tasks.Wait()
	if frozen { // and Freeze takes the channel
		return workerproto.ErrFrozen
	}
	l.conn.Close()

	l.read.Lock()
	defer l.read.Unlock()
	l.dropAll()
	l.write.Lock()
	defer l.write.Unlock()
	return l.endedBy()
}

// settleEnd is called when nothing is received any more, and reports whether
// that is because the conversation is frozen.
func (l *Link) settleEnd() (frozen bool) {
	l.read.Lock()
	defer l.read.Unlock()
	if l.failed == nil {
		l.failed = workerproto.ErrEnded // the poller's error
	}
	return l.failed == workerproto.ErrFrozen
}

// syncBytes is more than a channel's socket holds: a worker that goes on and
// on can't keep Sync from returning.
const syncBytes = 4 << 20

// Sync handles every message that the worker had sent when Sync was called.
func (l *Link) Sync() {
	for budget := syncBytes; budget > 0; {
		n, err := l.receive()
		if err != nil {
			return
		}
		budget -= n
	}
}

// receive receives once and handles the messages that are whole by then. n is
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
		l.failed = err
		l.stream.close()
		if !errors.Is(err, io.EOF) {
			l.conn.Shutdown() // ends Run where it was not Run that met the error
		}
	}
	return n, err
}

// Hand takes ownership of a connection for the worker, to which it goes with
// the next Flush: the caller sees to it that no more than the window are
// untaken. After an error the caller owns it still.
//
// The error is errNobody while no server of the worker gets connections, and
// errNoReplay for a connection that a worker has read from, where this one can't be
// told what was read: it would wait for a request that has come.
func (l *Link) Hand(c workerproto.Connection) error {
	l.write.Lock()
	defer l.write.Unlock()
	switch {
	case l.ended:
		return workerproto.ErrEnded
	case len(l.doors) == 0 && !l.adopts.Load():
		return errNobody
	case len(c.Replay) > 0 && !l.replaysLocked():
		if !l.warned {
			l.warned = true
			l.log.Warn("connections that other workers give back can't go to this one: it uses neither the package stickyd nor setupWorker(io)",
				"hint", "does --node-preload off, or a program that clears NODE_OPTIONS, keep the package from it?")
		}
		return errNoReplay
	}
	l.parcels.push(l.connectionLocked(c))
	return nil
}

var (
	errNobody   = errors.New("nodeipc: nobody in the worker listens")
	errNoReplay = errors.New("nodeipc: the worker takes no connection that was read from")
)

// replaysLocked reports whether somebody in the worker listens to the message
// that brings what was read: our library, or setupWorker.
func (l *Link) replaysLocked() bool {
	return l.helper.here.Load() || l.adopts.Load()
}

// Flush sends what Hand has taken, as far as the worker is ready for it, and
// does not wait.
func (l *Link) Flush() {
	l.write.Lock()
	defer l.write.Unlock()
	l.advanceLocked()
	now := time.Now() // from here on it is the worker that others wait for
	for _, list := range [][]*parcel{l.accepting, l.parcels.queue} {
		for i := len(list) - 1; i >= 0 && list[i].at.IsZero(); i-- {
			list[i].at = now
		}
	}
	if l.parcels.sent == len(l.parcels.queue) && l.parcels.sent+len(l.accepting) < l.terms.Window {
		l.conn.Linger() // no other waits for the ACK, here or for the window
	}
}

// advanceLocked sends the parcels that may go.
func (l *Link) advanceLocked() {
	for !l.mustWaitLocked() {
		p := l.parcels.next(l.out.pushed)
		if p == nil {
			return
		}
		l.pushLocked(p.frame, p.FD)
	}
}

// askPause is the time between looks whether the worker has read what was sent.
const askPause = time.Millisecond

// mustWaitLocked reports whether the next parcel has to wait until the worker has
// read what was sent, and sees to it that it goes then.
func (l *Link) mustWaitLocked() bool {
	if !l.parcels.mustAsk() || l.broken != nil || l.conn.Unread() == 0 && l.out.size == 0 {
		return false
	}
	if l.asking == nil {
		l.asking = time.AfterFunc(askPause, func() {
			l.write.Lock()
			defer l.write.Unlock()
			l.asking = nil
			if !l.frozen {
				l.advanceLocked()
			}
		})
	}
	return true
}

// Drain tells a worker that gets no new sessions, if it uses a library of
// ours, how long it has for those that it has; one that uses a published
// library has no ear for that. finish says that no connection will come at all.
//
// The channel stays open, as under Node's own primary, which an application may
// write to until its end: it is the worker's process that is waited for.
func (l *Link) Drain(limit time.Duration, finish bool) {
	l.read.Lock()
	defer l.read.Unlock()
	l.write.Lock()
	defer l.write.Unlock()
	if l.ended {
		return
	}
	l.ended = finish
	if l.helper.here.Load() {
		l.sendLocked(object{{"cmd", ours}, {"act", "drain"}, {"limit", int(limit.Milliseconds())}, {"finish", finish}})
	}
}

// send sends a message of our own.
func (l *Link) send(o object) {
	l.write.Lock()
	defer l.write.Unlock()
	l.sendLocked(o)
}

func (l *Link) sendLocked(o object) { l.pushLocked(l.codec.encode(o), -1) }

// relay sends a frame that others may share.
func (l *Link) relay(frame []byte) {
	l.write.Lock()
	defer l.write.Unlock()
	l.pushLocked(frame, -1)
}

// pushLocked sends a frame, or leaves that to the writer, which is at work for
// as long as anything waits. Errors are left to the receiving side: a socket
// that can't be written reads as end of file.
func (l *Link) pushLocked(frame []byte, fd int) {
	if l.broken != nil {
		return
	}
	if l.out.size > maxOutbox {
		// A worker that is only busy for a while holds up nobody, but memory
		// is not for ever, and a broadcast that is lost in silence is worse
		// than a worker that is replaced.
		l.broken = protocolErrorf("the worker does not read: %d bytes wait for it", l.out.size)
		l.conn.Shutdown()
		return
	}
	l.out.push(frame, fd)
	if fd < 0 {
		l.parcels.plain = l.out.pushed
	}
	l.flushLocked()
}

func (l *Link) flushLocked() {
	if !l.stuck && errors.Is(l.out.flush(), fdpass.ErrWouldBlock) {
		l.stuck = true
		l.full <- struct{}{}
	}
}

// writeWhenFull flushes what found the socket full.
func (l *Link) writeWhenFull() {
	for {
		select {
		case <-l.life.Done():
			return
		case <-l.full:
		}
		l.out.wait(l.life, func() error {
			l.write.Lock()
			defer l.write.Unlock()
			err := l.out.flush()
			l.stuck = errors.Is(err, fdpass.ErrWouldBlock)
			return err
		})
	}
}

// UntakenSince returns since when a connection has waited for the worker
// without its taking any; ok is false if none waits. A worker that is slow, but
// takes one after the other, is not stuck.
func (l *Link) UntakenSince() (at time.Time, ok bool) {
	l.write.Lock()
	defer l.write.Unlock()
	for _, list := range [][]*parcel{l.accepting, l.parcels.queue} {
		for _, p := range list {
			if p.ours == nil && !p.at.IsZero() && (!ok || p.at.Before(at)) {
				at, ok = p.at, true
			}
		}
	}
	if at.Before(l.took) {
		at = l.took
	}
	return at, ok
}

// RegistersLate says that the worker may announce a session after it answered
// the request that started it: the published libraries do.
func (l *Link) RegistersLate() bool {
	return l.adopts.Load() && !l.helper.early.Load() || l.helper.late.Load()
}

// Close ends the conversation. It first handles what the worker had sent, so
// that what it had taken is known, and returns the connections that it never
// took, which are the caller's now. No handler is called after it has
// returned. Only the first call returns connections, and none does if Freeze has
// ended the conversation: the State has them.
func (l *Link) Close() []workerproto.Connection {
	if l.isFrozen() {
		return nil
	}
	l.Sync()
	l.hub.leave(l)
	l.read.Lock()
	defer l.read.Unlock()
	if l.failed == nil {
		l.failed = workerproto.ErrEnded
		l.stream.close()
	}
	l.conn.Shutdown() // ends Run, which closes it

	l.write.Lock()
	defer l.write.Unlock()
	l.ended = true
	l.out.drop() // its descriptors are the parcels'
	var orphans []workerproto.Connection
	for _, p := range append(l.accepting, l.parcels.all()...) {
		if p.ours != nil {
			fdpass.Close(p.FD)
			continue
		}
		orphans = append(orphans, p.Connection)
	}
	l.accepting = nil
	return orphans
}

// isFrozen reports whether it was Freeze that ended the conversation.
func (l *Link) isFrozen() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.failed == workerproto.ErrFrozen
}
