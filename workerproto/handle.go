package workerproto

import (
	"math"
	"slices"
	"time"

	"github.com/stickyd/stickyd/fdpass"
)

// handleFrames handles the whole frames that have been received. l.read is
// held.
func (l *Link) handleFrames() error {
	for {
		f, ok, err := l.stream.next()
		if !ok || err != nil {
			return err
		}
		if err := l.handle(f); err != nil {
			return err
		}
	}
}

func (l *Link) handle(f frame) error {
	if f.fd >= 0 && f.kind != Return {
		fdpass.Close(f.fd)
	}
	switch {
	case l.state == awaitHello && f.kind != Hello:
		return protocolErrorf("the first frame is %s, not HELLO (is something else written to the control descriptor?)", f.kind)
	case l.state != awaitHello && f.kind == Hello:
		return protocolErrorf("a second HELLO")
	case l.state != awaitReady && f.kind == Ready:
		return protocolErrorf("a second READY")
	}
	switch f.kind {
	case Hello:
		return l.handleHello(f)
	case Ready:
		l.state = ready
		l.handler.Ready()
		return nil
	case Bind:
		return l.handleBind(f)
	case Unbind:
		return l.handleUnbind(f)
	case Taken:
		return l.handleTaken(f)
	case Decline:
		return l.handleDecline(f)
	case Closed:
		return l.handleClosed(f)
	case Return:
		return l.handleReturn(f)
	case Leaving:
		l.handler.Leaving()
		return nil
	case Subscribe:
		return l.handleSubscribe(f)
	case Publish:
		return l.handlePublish(f)
	}
	return nil // a later version's: skipped
}

func (l *Link) handleHello(f frame) error {
	h, err := parseHello(f.body)
	if err != nil {
		return err
	}
	if h.min > Version || h.max < Version {
		return protocolErrorf("the worker (%s) speaks protocol versions %d to %d, this stickyd speaks %d", h.library, h.min, h.max, Version)
	}
	l.state = awaitReady
	welcome := l.terms.append(nil, Version)
	if !h.page {
		return l.push(welcome)
	}
	fd, ok := l.openTally()
	if !ok {
		return l.push(welcome)
	}
	l.write.Lock()
	defer l.write.Unlock()
	l.out.pushPage(withDescriptor(welcome), fd)
	l.flushLocked()
	return nil
}

// push sends a frame without a descriptor to the worker.
func (l *Link) push(b []byte) error {
	l.write.Lock()
	defer l.write.Unlock()
	if waiting := l.out.size - l.out.bulk; waiting > maxOutbox {
		return protocolErrorf("the worker does not read: %d bytes wait for it", waiting)
	}
	l.pushLocked(b)
	return nil
}

func (l *Link) handleBind(f frame) error {
	adopted, err := parseCount(Bind, f.body)
	if err != nil {
		return err
	}
	for id, err := range parseIDs(Bind, f.body[4:]) {
		if err != nil {
			return err
		}
		if !l.handler.Bind(id) {
			if err := l.push(appendIDFrame(nil, Refused, string(id))); err != nil {
				return err
			}
		}
	}
	if adopted == 0 {
		return nil
	}
	if err := l.ledger.settle(Bind, int64(adopted)); err != nil {
		return err
	}
	l.handler.Settled(int(adopted))
	return nil
}

// maxTopics bounds what a worker can make the hub remember.
const maxTopics = 1024

func (l *Link) handleSubscribe(f frame) error {
	for topic, err := range parseIDs(Subscribe, f.body) {
		if err != nil {
			return err
		}
		if l.topics++; l.topics > maxTopics {
			return protocolErrorf("SUBSCRIBE to more than %d topics", maxTopics)
		}
		l.hub.subscribe(l, string(topic))
	}
	return nil
}

func (l *Link) handlePublish(f frame) error {
	topic, piece, err := parsePublish(Publish, f.body)
	if err != nil {
		return err
	}
	if f.flags&FlagMore == 0 {
		delete(l.unfinished, string(topic))
	} else {
		if l.unfinished[string(topic)] = struct{}{}; len(l.unfinished) > maxTopics {
			return protocolErrorf("PUBLISH of more than %d messages at a time", maxTopics)
		}
	}
	l.hub.publish(l, f.flags&FlagMore, topic, piece)
	return nil
}

func (l *Link) handleUnbind(f frame) error {
	for id, err := range parseIDs(Unbind, f.body) {
		if err != nil {
			return err
		}
		l.handler.Unbind(id)
	}
	return nil
}

// handleTaken forgets the untaken connections up to an id and closes our
// copies: the worker has them.
func (l *Link) handleTaken(f frame) error {
	id, err := parseNumber(Taken, f.body)
	if err != nil {
		return err
	}
	return l.take(id)
}

// take deals with the news that the worker has all connections up to an id.
func (l *Link) take(id uint64) error {
	l.write.Lock()
	if sent := l.sentLocked(); id > sent {
		l.write.Unlock()
		return protocolErrorf("TAKEN of connection %d, the last one sent is %d", id, sent)
	}
	n := 0
	for n < len(l.untaken) && l.untaken[n].id <= id {
		fdpass.Close(l.untaken[n].FD)
		n++
	}
	l.untaken = slices.Delete(l.untaken, 0, n)
	l.waiting.Store(int64(len(l.untaken)))
	if n > 0 {
		l.took = time.Now()
	}
	l.write.Unlock()
	if n > 0 {
		l.handler.Taken(n)
	}
	return nil
}

// sentLocked returns the id of the last connection that has left the outbox.
func (l *Link) sentLocked() uint64 { return l.lastID - uint64(l.out.owing) }

func (l *Link) handleDecline(f frame) error {
	id, err := parseNumber(Decline, f.body)
	if err != nil {
		return err
	}
	c, err := l.decline(id)
	if err != nil {
		return err
	}
	if !c.Session {
		if err := l.ledger.settle(Decline, 1); err != nil {
			fdpass.Close(c.FD)
			return err
		}
	}
	l.handler.Declined(c)
	return nil
}

// decline takes connection id back from the untaken ones.
func (l *Link) decline(id uint64) (Connection, error) {
	l.write.Lock()
	defer l.write.Unlock()
	i := slices.IndexFunc(l.untaken, func(u untaken) bool { return u.id == id })
	if i < 0 || id > l.sentLocked() {
		return Connection{}, protocolErrorf("DECLINE of connection %d, which is not waiting to be taken", id)
	}
	c := l.untaken[i].Connection
	l.untaken = slices.Delete(l.untaken, i, i+1)
	l.waiting.Store(int64(len(l.untaken)))
	return c, nil
}

func (l *Link) handleClosed(f frame) error {
	n, err := parseCount(Closed, f.body)
	if err != nil {
		return err
	}
	return l.settleClosed(uint64(n))
}

// settleClosed deals with the news that n connections that were load have
// ended.
func (l *Link) settleClosed(n uint64) error {
	if err := l.ledger.settle(Closed, int64(min(n, math.MaxInt32))); err != nil {
		return err
	}
	l.handler.Settled(int(n))
	return nil
}

func (l *Link) handleReturn(f frame) error {
	if err := l.count(); err != nil { // it was taken before
		return err
	}
	c, err := l.checkReturn(f)
	if err != nil {
		if f.fd >= 0 {
			fdpass.Close(f.fd)
		}
		return err
	}
	if !c.Session {
		l.handler.Settled(1)
	}
	if c.FD < 0 {
		// Lost on the way, for want of descriptors here. There is no other
		// copy: its client sees it closed.
		return nil
	}
	l.handler.Returned(c)
	return nil
}

func (l *Link) checkReturn(f frame) (Connection, error) {
	id, replay, err := parseConn(Return, f.body)
	if err != nil {
		return Connection{}, err
	}
	if f.flags&FlagDescriptor == 0 || f.fd >= 0 && !fdpass.IsStreamSocket(f.fd) {
		return Connection{}, protocolErrorf("RETURN of connection %d without a stream socket", id)
	}
	if err := l.wasTaken(id); err != nil {
		return Connection{}, err
	}
	if err := l.ledger.giveBack(id); err != nil {
		return Connection{}, err
	}
	c := Connection{FD: f.fd, Replay: slices.Clone(replay), Session: f.flags&FlagSession != 0}
	if !c.Session {
		err = l.ledger.settle(Return, 1)
	}
	return c, err
}

// wasTaken returns an error if connection id is not one that the worker has
// taken.
func (l *Link) wasTaken(id uint64) error {
	l.write.Lock()
	defer l.write.Unlock()
	waiting := slices.ContainsFunc(l.untaken, func(u untaken) bool { return u.id == id })
	if id == 0 || id > l.sentLocked() || waiting {
		return protocolErrorf("RETURN of connection %d, which was not taken", id)
	}
	return nil
}
