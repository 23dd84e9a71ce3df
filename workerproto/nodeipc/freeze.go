package nodeipc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// A LinkState is a conversation that was stopped, as workerproto.LinkState is.
type LinkState struct {
	Terms         workerproto.Terms
	Serialization Serialization
	Socket        int    // -1: the conversation is over
	Error         string `json:",omitempty"` // how the worker broke the protocol, if that ended it
	Left          bool   // the worker had said that it would end it
	Broken        string `json:",omitempty"` // why it is to be ended

	Online, Ready, Away, Leaving, Adopts bool
	WaitReady, SaidReady                 bool
	Wrapper                              string `json:",omitempty"`
	Passing                              bool   `json:",omitempty"`
	Process                              int    `json:",omitempty"`
	Bound                                bool
	Helper                               helperState

	Buffered []byte `json:",omitempty"` // received
	Loose    []int  `json:",omitempty"` // descriptors that were

	Outbox []outgoingState `json:",omitempty"`
	Pushed int64

	Parcels   []parcelState `json:",omitempty"`
	Sent      int           // how many of them
	Acked     int64
	Plain     int64
	Accepting []parcelState `json:",omitempty"`
	Took      workerproto.Age
	Seq       int

	NoMore bool // Link's ended

	Servers []*server `json:",omitempty"`

	Load  int
	Since []workerproto.Age `json:",omitempty"`

	Namespaces map[string]string `json:",omitempty"` // see seat
	Engine     string            `json:",omitempty"`
	Old        bool
}

type helperState struct {
	Here, Expects, Late, Early, Door, Nobody, Settled bool
	Runtime, Alone                                    string
}

type outgoingState struct {
	Bytes []byte
	FD    int // of a parcel; -1 for none
}

type parcelState struct {
	workerproto.Connection
	Frame []byte
	Seq   int
	Door  string
	End   int64
	Nacks int
	Age   workerproto.Age
	Ours  bool // no client's connection
}

// FDs returns the descriptors that the state owns.
func (s *LinkState) FDs() []int {
	fds := slices.Clone(s.Loose)
	if s.Socket >= 0 {
		fds = append(fds, s.Socket)
	}
	for _, p := range slices.Concat(s.Parcels, s.Accepting) {
		fds = append(fds, p.FD)
	}
	return fds
}

// Drop is workerproto.LinkState.Drop.
func (s *LinkState) Drop() (untaken []workerproto.Connection) {
	ours := s.Loose
	if s.Socket >= 0 {
		ours = append(ours, s.Socket)
	}
	for _, p := range slices.Concat(s.Accepting, s.Parcels) {
		if p.Ours {
			ours = append(ours, p.FD)
		} else {
			untaken = append(untaken, p.Connection)
		}
	}
	fdpass.CloseAll(ours)
	return untaken
}

// Freeze stops the conversation, for State: see workerproto.Link.Freeze. A
// question whether the worker is ready that is on its way is asked again later.
func (l *Link) Freeze() {
	l.read.Lock()
	l.frozenAt = time.Now()
	if l.failed == nil {
		l.failed = workerproto.ErrFrozen
	}
	going := l.failed == workerproto.ErrFrozen
	l.read.Unlock()
	l.write.Lock()
	l.frozen = true
	l.write.Unlock()
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

// State returns what a Link that is frozen holds: see workerproto.Link.State. A
// worker for which more than 8 MiB wait, beside connections, is ended when it is
// thawed.
// The sockets that the worker's servers share are named, and not part of it.
func (l *Link) State() *LinkState {
	seat := l.hub.forget(l)
	l.read.Lock()
	defer l.read.Unlock()
	l.write.Lock()
	defer l.write.Unlock()
	if n := l.out.messages(); n > maxFrozen && l.socket >= 0 && l.broken == nil {
		l.broken = protocolErrorf("the worker does not read: %d bytes wait for it, too many to take along", n)
	}
	if l.broken != nil { // all that is left to do is to hear it out
		l.out.drop()
	}
	s := &LinkState{
		Terms: l.terms, Serialization: l.serialization, Socket: l.socket,
		Online: l.online, Ready: l.ready, Away: l.away, Leaving: l.leaving, Adopts: l.adopts.Load(),
		WaitReady: l.waitReady, SaidReady: l.saidReady, Wrapper: l.wrapper, Passing: l.passing, Process: l.process,
		Bound: l.bound, Helper: l.helper.state(),
		Buffered: slices.Clone(l.stream.buf[l.stream.start:]), Loose: l.stream.fds,
		Pushed:  l.out.pushed,
		Parcels: l.parcelStates(l.parcels.queue), Sent: l.parcels.sent, Acked: l.parcels.acked, Plain: l.parcels.plain,
		Accepting: l.parcelStates(l.accepting),
		Took:      workerproto.AgeAt(l.took, l.frozenAt), Seq: l.seq,
		NoMore: l.ended, Servers: l.serverStates(),
		Namespaces: seat.namespaces, Engine: seat.engine, Old: seat.old,
	}
	s.Load, s.Since = l.load.state(l.frozenAt)
	for _, f := range l.out.queue {
		s.Outbox = append(s.Outbox, outgoingState{f.bytes, f.fd})
	}
	switch err := l.endedBy(); {
	case err == workerproto.ErrLeft:
		s.Left = true
	case err != nil && s.Socket >= 0:
		s.Broken = complaint(err)
	case err != nil:
		s.Error = complaint(err)
	}
	if s.Socket < 0 { // nothing is sent or handled any more
		fdpass.CloseAll(s.Loose)
		s.Buffered, s.Loose, s.Outbox, s.Servers = nil, nil, nil, nil
	}
	l.out, l.parcels, l.accepting, l.socket = outbox{conn: l.conn}, parcels{}, nil, -1
	l.stream = stream{conn: l.conn, codec: l.codec}
	return s
}

// complaint returns what protocolErrorf was told.
func complaint(err error) string {
	return strings.TrimPrefix(err.Error(), workerproto.ErrProtocol.Error()+": ")
}

func (l *Link) parcelStates(list []*parcel) (states []parcelState) {
	for _, p := range list {
		states = append(states, parcelState{p.Connection, p.frame, p.seq, p.door, p.end, p.nacks, workerproto.AgeAt(p.at, l.frozenAt), p.ours != nil})
	}
	return states
}

// serverStates returns the servers, with what workers have in common. They are
// given up by nobody: what they have is open in the worker as well. l.read is held.
func (l *Link) serverStates() []*server {
	if l.patience != nil {
		l.patience.Stop()
	}
	for _, s := range l.servers {
		s.Data = l.hub.sharedData(s.dataName())
	}
	return l.servers
}

func (h *helper) state() helperState {
	return helperState{
		Here: h.here.Load(), Expects: h.expects, Late: h.late.Load(), Early: h.early.Load(), Door: h.door.Load(),
		Nobody: h.nobody.Load(), Settled: h.settled.Load(), Runtime: h.runtime, Alone: h.alone,
	}
}

func (h *helper) restore(s helperState) {
	h.here.Store(s.Here)
	h.expects, h.runtime, h.alone = s.Expects, s.Runtime, s.Alone
	h.late.Store(s.Late)
	h.early.Store(s.Early)
	h.door.Store(s.Door)
	h.nobody.Store(s.Nobody)
	h.settled.Store(s.Settled)
}

// Thaw makes a Link of a state, as workerproto.Thaw does. The options are
// NewLink's, but that the serialization is the state's.
func Thaw(s *LinkState, loop *poll.Loop, h workerproto.Handler, o Options) (*Link, error) {
	if s.Sent < 0 || s.Sent > len(s.Parcels) {
		return nil, fmt.Errorf("%d of %d parcels are on their way", s.Sent, len(s.Parcels))
	}
	conn := fdpass.Closed()
	if s.Socket >= 0 {
		var err error
		if conn, err = fdpass.NewConn(s.Socket, loop); err != nil {
			return nil, err
		}
	}
	o.Serialization = s.Serialization
	l := NewLink(conn, s.Terms, h, o)
	l.restore(s)
	if s.Socket < 0 {
		l.endAs(s)
		return l, nil
	}
	l.hub.restoreNews(l)
	l.reacquire()
	l.hub.restore(l, seat{namespaces: s.Namespaces, engine: s.Engine, old: s.Old})
	return l, nil
}

func (l *Link) restore(s *LinkState) {
	l.online, l.ready, l.away, l.leaving = s.Online, s.Ready, s.Away, s.Leaving
	l.waitReady, l.saidReady, l.wrapper, l.process = s.WaitReady, s.SaidReady, s.Wrapper, s.Process
	l.bound = s.Bound
	l.helper.restore(s.Helper)
	l.adopts.Store(s.Adopts)
	l.passing = s.Passing
	if l.online {
		l.onlines++
		l.probe <- struct{}{}
	}
	if l.ready || l.helper.here.Load() || l.helper.alone != "" {
		l.stopProbe()
	}
	l.stream.buf, l.stream.fds = s.Buffered, s.Loose
	for _, f := range s.Outbox {
		l.out.push(f.Bytes, f.FD)
	}
	l.out.pushed = s.Pushed
	now := time.Now()
	l.parcels = parcels{queue: parcelsOf(s.Parcels, now), sent: s.Sent, acked: s.Acked, plain: s.Plain, apart: s.Helper.Runtime == deno}
	l.accepting = parcelsOf(s.Accepting, now)
	l.took, l.seq = s.Took.Before(now), s.Seq
	l.ended = s.NoMore
	for _, one := range s.Servers {
		l.servers = append(l.servers, new(*one))
	}
	l.load.restore(s.Load, s.Since, s.Helper.Here, now)
	if s.Broken != "" {
		l.broken = protocolErrorf("%s", s.Broken)
	}
}

func parcelsOf(states []parcelState, now time.Time) (list []*parcel) {
	for _, s := range states {
		p := &parcel{Connection: s.Connection, frame: s.Frame, seq: s.Seq, door: s.Door, end: s.End, nacks: s.Nacks, at: s.Age.Before(now)}
		if s.Ours {
			p.ours = func() {}
		}
		list = append(list, p)
	}
	return list
}

// reacquire takes up what the worker's servers have.
func (l *Link) reacquire() {
	l.read.Lock()
	defer l.read.Unlock()
	for _, s := range l.servers {
		l.hub.keepData(s.dataName(), s.Data)
		switch {
		case !s.Answered:
		case s.Role == doorRole:
			s.release = l.places.Reclaim(s.where(), s.TLS)
			if !s.Demoted {
				l.addDoor(s)
			}
		case !l.helper.bindsItself():
			l.reacquireShared(s)
		}
	}
}

// reacquireShared takes up a socket that this program has, too. Without it the
// worker still has its own copy.
func (l *Link) reacquireShared(s *server) {
	release, err := l.places.Reacquire(s.Network, s.Addr, s.Nth)
	if err != nil {
		l.log.Warn("a socket of a server of the worker was lost", "network", s.Network, "addr", s.Addr, "err", err)
		return
	}
	s.release = func(bool) { release() }
}

// endAs makes a Link one whose Run has returned.
func (l *Link) endAs(s *LinkState) {
	l.ended, l.over = true, true
	switch {
	case s.Error != "":
		l.failed = protocolErrorf("%s", s.Error)
	case s.Left:
		l.failed, l.leaving = io.EOF, true
	default:
		l.failed = workerproto.ErrEnded
	}
	l.end()
	close(l.ran)
}

// resume sends what waits in a Link that was thawed, and asks anew for what its
// servers wait for.
func (l *Link) resume() {
	l.read.Lock()
	defer l.read.Unlock()
	l.write.Lock()
	if l.broken != nil { // while it was frozen
		l.write.Unlock()
		l.conn.Shutdown() // ends Run, which hears first what was said
		return
	}
	l.advanceLocked()
	l.flushLocked()
	l.write.Unlock()
	for _, s := range slices.Clone(l.servers) {
		switch {
		case s.Role == undecided:
			l.decide(s)
		case !s.Answered:
			l.makeDoor(s)
		case s.Listening && !s.Open:
			l.confirm(s.Key)
		}
	}
}

// endedBy returns what Run returns. read and write are held.
func (l *Link) endedBy() error {
	for _, err := range []error{l.broken, l.failed} {
		if errors.Is(err, workerproto.ErrProtocol) || err == ErrSerialization {
			return err
		}
	}
	if l.leaving && l.failed == io.EOF {
		return workerproto.ErrLeft
	}
	return nil
}
