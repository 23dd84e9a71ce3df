package nodeipc

import (
	"context"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// probeRequest is an HTTP request that Node's server answers by itself: 417 to
// an Expect that it does not know (parserOnIncoming in lib/_http_server.js).
const probeRequest = "GET / HTTP/1.1\r\nHost: stickyd\r\nExpect: stickyd-probe\r\nConnection: close\r\n\r\n"

// How long an answer is waited for after the worker has the probe, at first
// and at most.
const (
	probeFirst = 100 * time.Millisecond
	probeMost  = 2 * time.Second
)

// helperPatience is how long a library of ours has to say that it is there, where
// stickyd has had Node load it: it does so before it loads anything else.
const helperPatience = 2 * time.Second

// probeUntilReady finds out when setupWorker has been called, in a worker without a
// library of ours, which would say so. A connection
// that comes before that is lost, since nobody listens to the message that
// brings it, and nothing says so: cluster.worker itself takes all messages. So
// a socket of our own goes first, until one is answered. All who listen to
// messages in the application hear of it.
//
// The request is in the message and not in the socket: there is nothing unread
// in one that nobody wants, and the worker closes it when we do.
func (l *Link) probeUntilReady() {
	l.awaitServer()
	for wait := probeFirst; l.probing.Err() == nil; wait = min(2*wait, probeMost) {
		if l.someoneAsks() {
			wait = probeFirst
		}
		answered, asked, err := l.probeOnce(wait)
		if err != nil {
			l.log.Warn("cannot probe whether the worker is ready", "err", err)
			continue
		}
		if answered {
			l.Sync() // what it said before
		}
		l.read.Lock()
		if answered {
			l.adopted(false)
		} else {
			l.noteUnanswered(asked)
		}
		l.read.Unlock()
	}
}

// awaitServer waits for a process that has had its time for a library of ours to
// speak, and is no launcher whose own process is to come.
func (l *Link) awaitServer() {
	for {
		select {
		case <-l.probing.Done():
			return
		case <-l.probe:
		}
		seen, _ := l.running()
		if l.wantsHelper {
			l.pause(helperPatience)
		}
		if now, passing := l.running(); now == seen && !passing {
			return
		}
	}
}

// running returns how many processes have run so far, and whether the last one has
// passed the channel on.
func (l *Link) running() (n int, passing bool) {
	l.read.Lock()
	defer l.read.Unlock()
	return l.onlines, l.passing
}

// probeOnce passes the worker one end of a channel and reports whether
// something came back in time. Of the servers that wait for an answer, the
// first asked had done so before.
func (l *Link) probeOnce(patience time.Duration) (answered bool, asked int, err error) {
	near, far, err := fdpass.Channel()
	if err != nil {
		l.pause(patience)
		return false, 0, err
	}
	defer near.Close()
	arrived := make(chan struct{})
	p := &parcel{ours: func() { close(arrived) }, at: time.Now()}
	p.FD = far
	p.frame = l.nodeHandle(asSocket, object{{"type", "sticky:connection"}, {"data", probeRequest}})
	if !l.handProbe(p) {
		fdpass.Close(far)
		l.pause(patience)
		return false, 0, nil
	}
	select {
	case <-l.probing.Done():
		return false, 0, nil
	case <-arrived: // however long its event loop takes
	}
	ctx, cancel := context.WithTimeout(l.probing, patience)
	defer cancel()
	l.read.Lock()
	if asked = l.count(undecided); asked == 0 {
		l.hurry = cancel
	}
	l.read.Unlock()
	defer context.AfterFunc(ctx, near.Shutdown)()
	near.OnReadable(func() poll.Next {
		n, err := near.TryPeek(make([]byte, 1))
		answered = n > 0
		return poll.Until(err != fdpass.ErrWouldBlock)
	})
	if !answered {
		<-ctx.Done() // the worker may have closed it at once: don't spin
	}
	return answered, asked, nil
}

// decideByProbes lets a server wait until probes have shown that nobody has called
// setupWorker. l.read is held.
func (l *Link) decideByProbes(s *server) {
	switch {
	case !l.mayBeDoor(s):
		l.share(s)
	case s.Probes >= 2 || l.ready || l.probing.Err() != nil: // probes have shown it, or there are no more
		l.makeDoor(s)
	case l.count(undecided) == 1 && l.hurry != nil:
		l.hurry() // the probe that is out says nothing of it
	}
}

// noteUnanswered is called when that many undecided servers had asked before a
// probe that was not answered. l.read is held.
func (l *Link) noteUnanswered(asked int) {
	if l.failed != nil || asked == 0 {
		return
	}
	for _, s := range l.servers {
		if s.Role == undecided && asked > 0 {
			s.Probes++
			asked--
		}
	}
	l.decideOthers()
}

func (l *Link) someoneAsks() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.count(undecided) > 0
}

// handProbe takes ownership of the probe's descriptor unless it returns false.
func (l *Link) handProbe(p *parcel) bool {
	l.write.Lock()
	defer l.write.Unlock()
	if l.ended || l.frozen {
		return false
	}
	l.parcels.push(p)
	l.advanceLocked()
	return true
}

func (l *Link) pause(d time.Duration) {
	select {
	case <-l.probing.Done():
	case <-time.After(d):
	}
}
