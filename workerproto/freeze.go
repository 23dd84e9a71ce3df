package workerproto

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// ErrFrozen is what Run returns after Freeze.
var ErrFrozen = errors.New("workerproto: the conversation is frozen")

// A LinkState is a conversation that was stopped, as plain data from which Thaw
// makes a Link again: in this program, or in another one in its place, which has
// the same descriptors by the same numbers. JSON keeps all of it.
//
// It owns its descriptors, until Thaw has made a Link of it.
type LinkState struct {
	Terms  Terms
	Socket int    // -1: the conversation is over
	Error  string `json:",omitempty"` // how the worker broke the protocol, if that ended it
	Slow   bool   // too much that others published waits for it, which is to end it

	Page                  int // the tally's descriptor, -1 if there is none
	TakenSeen, ClosedSeen uint64

	Stage      linkState
	Stream     streamState
	Outbox     outboxState
	Untaken    []untakenState `json:",omitempty"`
	Took       Age
	LastID     uint64
	NoMore     bool     // no more connections go to the worker
	Load       int64    // connections that count as such
	Returned   []uint64 `json:",omitempty"` // see ledger
	ReturnedN  int
	Topics     []string `json:",omitempty"`
	TopicsN    int
	Unfinished []string `json:",omitempty"`
}

type streamState struct {
	Buffered []byte `json:",omitempty"`
	Offset   int64
	Batches  []batchState `json:",omitempty"`
	Group    []int        `json:",omitempty"`
	Missing  int
}

type batchState struct {
	From, To int64
	FDs      []int
}

type outboxState struct {
	Rest  []byte          `json:",omitempty"`
	Queue []outgoingState `json:",omitempty"`
}

type outgoingState struct {
	Bytes []byte
	FD    int // of a connection that is in Untaken, or the page; -1 for none
	Bulk  bool
}

type untakenState struct {
	Connection
	ID  uint64
	Age Age
}

// FDs returns the descriptors that the state owns.
func (s *LinkState) FDs() (fds []int) {
	for _, fd := range []int{s.Socket, s.Page} {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	for _, u := range s.Untaken {
		fds = append(fds, u.FD)
	}
	fds = append(fds, s.Stream.Group...)
	for _, b := range s.Stream.Batches {
		fds = append(fds, b.FDs...)
	}
	return fds
}

// Drop gives up the conversation: it closes what the state owns but the
// connections that the worker had not taken, which are the caller's then.
func (s *LinkState) Drop() (untaken []Connection) {
	for _, u := range s.Untaken {
		untaken = append(untaken, u.Connection)
	}
	s.Untaken = nil
	fdpass.CloseAll(s.FDs())
	return untaken
}

// Freeze stops the conversation, for State. When it returns, Run has returned
// ErrFrozen, or what it returns if the conversation was over already; nothing is
// sent or received any more, and no handler is called. The worker notices
// nothing: what it says waits in the socket.
//
// Hand, Drain and what other workers publish are kept until then. So all that
// might say something to the worker is stopped before State is called: the links
// of the same hub are frozen first, all of them.
//
// Run must have been called, or be about to be; it is waited for. Freeze and
// Close must not be called at the same time, and neither by who runs Run.
func (l *Link) Freeze() {
	l.read.Lock()
	l.frozenAt = time.Now()
	if l.failed == nil {
		l.failed = ErrFrozen
	}
	going := l.failed == ErrFrozen
	stop := l.stopTurns
	l.stopTurns = nil
	l.read.Unlock()
	if stop != nil {
		stop() // which waits for turn, and turn for l.read
	}
	socket, err := l.conn.Detach() // ends Run
	<-l.ran
	switch {
	case err != nil: // it was closed
	case going:
		l.socket = socket
	default:
		fdpass.Close(socket)
	}
}

// State returns what a Link that is frozen holds, all of which the caller owns
// then. It is called once; the Link is of no use any more. A worker for which
// more than 8 MiB wait that others published is ended when it is thawed.
func (l *Link) State() *LinkState {
	topics := l.hub.forget(l)
	l.read.Lock()
	defer l.read.Unlock()
	l.write.Lock()
	defer l.write.Unlock()
	l.slow = l.slow || l.out.published() > maxFrozen
	s := &LinkState{
		Terms: l.terms, Socket: l.socket, Page: l.pageFD, Stage: l.state,
		TakenSeen: l.takenSeen.Load(), ClosedSeen: l.closedSeen.Load(),
		Stream: l.stream.state(), Outbox: l.out.state(),
		Took: AgeAt(l.took, l.frozenAt), LastID: l.lastID, NoMore: l.ended, Slow: l.slow,
		Load: l.ledger.open.Load(), Returned: l.ledger.ring(), ReturnedN: l.ledger.count,
		Topics: topics, TopicsN: l.topics,
	}
	for _, u := range l.untaken {
		s.Untaken = append(s.Untaken, untakenState{u.Connection, u.id, AgeAt(u.at, l.frozenAt)})
	}
	for topic := range l.unfinished {
		s.Unfinished = append(s.Unfinished, topic)
	}
	if t := l.tally.Swap(nil); t != nil {
		t.page.Unmap()
	}
	if s.Socket < 0 { // nothing is sent or handled any more
		if err := l.endedBy(); err != nil {
			s.Error = strings.TrimPrefix(err.Error(), ErrProtocol.Error()+": ")
		}
		s.Stream, s.Outbox = streamState{}, outboxState{}
		if s.Page >= 0 {
			fdpass.Close(s.Page)
			s.Page = -1
		}
		l.stream.close()
	}
	if s.Slow { // all that is left to do is to hear it out
		s.Outbox = outboxState{}
	}
	l.untaken, l.out, l.stream, l.pageFD, l.socket = nil, outbox{conn: l.conn}, stream{conn: l.conn}, -1, -1
	return s
}

// Thaw makes a Link of a state; it goes on where it stopped once Run is called.
// The arguments are NewLink's; loop is what the socket waits with (see
// fdpass.NewConn). All links of a hub are thawed before any of them runs, since
// it is here that they begin to hear each other. Ready is not called again. Of a
// conversation that was over, Run returns at once what ended it.
//
// After an error the state owns what it owned.
func Thaw(s *LinkState, loop *poll.Loop, h Handler, hub *Hub) (*Link, error) {
	if s.Stage > ready {
		return nil, fmt.Errorf("stage %d of the conversation is not known", s.Stage)
	}
	conn := fdpass.Closed()
	if s.Socket >= 0 {
		var err error
		if conn, err = fdpass.NewConn(s.Socket, loop); err != nil {
			return nil, err
		}
	}
	l := NewLink(conn, s.Terms, h, hub)
	if s.Page >= 0 {
		page, err := fdpass.MapPage(s.Page)
		if err != nil {
			conn.Detach()
			return nil, err
		}
		l.tally.Store(newTally(page))
	}
	l.restore(s)
	return l, nil
}

func (l *Link) restore(s *LinkState) {
	l.pageFD, l.state = s.Page, s.Stage
	l.takenSeen.Store(s.TakenSeen)
	l.closedSeen.Store(s.ClosedSeen)
	l.stream.restore(s.Stream)
	l.out.restore(s.Outbox)
	now := time.Now()
	l.took, l.lastID, l.ended, l.slow = s.Took.Before(now), s.LastID, s.NoMore, s.Slow
	l.stuck = s.Slow // nothing is sent, not even before Run is called: the state may lack what comes first
	l.ledger.open.Store(s.Load)
	copy(l.ledger.returned[:], s.Returned)
	l.ledger.count = s.ReturnedN
	for _, u := range s.Untaken {
		l.untaken = append(l.untaken, untaken{u.Connection, u.ID, u.Age.Before(now)})
	}
	l.waiting.Store(int64(len(l.untaken)))
	l.topics = s.TopicsN
	for _, topic := range s.Unfinished {
		l.unfinished[topic] = struct{}{}
	}
	if s.Socket < 0 {
		l.end(s.Error)
		return
	}
	for _, topic := range s.Topics {
		l.hub.subscribe(l, topic)
	}
}

// end makes a Link that was thawed one whose Run has returned.
func (l *Link) end(complaint string) {
	l.failed, l.ended = ErrEnded, true
	if complaint != "" {
		l.failed = protocolErrorf("%s", complaint)
	}
	l.over = true
	close(l.ran)
}

// resume goes on with what a Link that was thawed had begun.
func (l *Link) resume() {
	l.read.Lock()
	if l.failed == nil && l.stopTurns == nil && l.tally.Load() != nil {
		l.stopTurns = l.lookRegularly()
	}
	l.read.Unlock()
	l.write.Lock()
	defer l.write.Unlock()
	if l.slow { // it became so while it was frozen
		l.conn.Shutdown() // ends Run, which hears first what was said
		return
	}
	l.flushLocked()
}

func (s *stream) state() streamState {
	state := streamState{Buffered: slices.Clone(s.buf[s.start:]), Offset: s.off, Group: s.group, Missing: s.missing}
	for _, b := range s.batches {
		state.Batches = append(state.Batches, batchState{b.from, b.to, b.fds})
	}
	return state
}

func (s *stream) restore(state streamState) {
	s.buf, s.off, s.group, s.missing = state.Buffered, state.Offset, state.Group, state.Missing
	for _, b := range state.Batches {
		s.batches = append(s.batches, batch{b.From, b.To, b.FDs})
	}
}

func (o *outbox) state() outboxState {
	state := outboxState{Rest: o.rest}
	for _, f := range o.queue[o.sent:] {
		state.Queue = append(state.Queue, outgoingState{f.bytes, f.fd, f.bulk})
	}
	return state
}

func (o *outbox) restore(state outboxState) {
	o.rest, o.size = state.Rest, len(state.Rest)
	for _, f := range state.Queue {
		o.add(outgoing{bytes: f.Bytes, fd: f.FD, bulk: f.Bulk})
	}
}

// ring returns the part of returned that is in use.
func (l *ledger) ring() []uint64 { return slices.Clone(l.returned[:min(l.count, len(l.returned))]) }
