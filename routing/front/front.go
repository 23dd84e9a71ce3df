package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing"
)

// A Conn is a connection that no target has yet, and whoever holds it owns its
// descriptor.
type Conn struct {
	FD     int
	Replay []byte // what was read off it already; a target reads it first

	// Refusals is how many targets could not take it.
	Refusals int

	source   *source       // of the id of its request; nil: there is none
	headWait time.Duration // for the rest of its head; 0 if that was there
}

// A Target is what a routing.Member must have as its Target. Neither method
// waits.
type Target interface {
	// Hand takes ownership of the connection; after an error the caller has it
	// still. session says that the target owns the session of the request at
	// its head.
	Hand(c Conn, session bool) error

	// Flush sends off what Hand has taken.
	Flush()
}

// Stats counts what happened to connections.
type Stats struct {
	Accepted  atomic.Int64
	Handed    atomic.Int64 // to a target, each time
	Returned  atomic.Int64 // by a target, because of their session
	Rerouted  atomic.Int64 // since a target could not take them, or died before
	Refused   atomic.Int64 // answered by ourselves
	Known     atomic.Int64 // handed to the worker that owns their session
	Unknown   atomic.Int64 // handed over with an id that is nobody's
	Without   atomic.Int64 // handed over without an id
	Abandoned atomic.Int64 // closed by the client, or lost, before any of it
	Pauses    atomic.Int64 // of accepting, for want of descriptors

	// How long connections had to wait before they were handed over, each time:
	// for the rest of their head, and for a worker with room or for their session
	// to be registered. Most do not have to, and count as 0: in the end each has
	// counted as many as Handed.
	HeadWait  Histogram
	QueueWait Histogram
}

// A Front serves any number of listeners with one configuration. Its methods
// may be called from any goroutine.
type Front struct {
	settings atomic.Pointer[settings]
	router   *routing.Router
	log      *slog.Logger
	waiters  waiters
	tasks    crew // goroutines that serve no single connection
	spare    spare
	hangups  hangups
	Stats    Stats

	stopping context.Context // done: Stop was called, or ending is
	stop     context.CancelFunc
	ending   context.Context // done: nobody waits any more
	end      context.CancelFunc
	frozen   atomic.Bool // before ending is done: by Freeze
	tls      atomic.Bool // see PassTLS
	kept     kept
}

// New returns a front that routes with r.
func New(config Config, r *routing.Router, log *slog.Logger) *Front {
	f := &Front{router: r, log: log}
	f.SetConfig(config)
	f.spare.reserve()
	f.hangups.open()
	f.ending, f.end = context.WithCancel(context.Background())
	f.stopping, f.stop = context.WithCancel(f.ending)
	return f
}

// PassTLS says whether a client that begins with TLS goes to a target like one
// whose request has no session, since targets speak TLS themselves; else it is told
// that nobody here does. It returns what was said before.
func (f *Front) PassTLS(on bool) (before bool) { return f.tls.Swap(on) }

// acceptPause is how long accepting pauses for want of descriptors.
const acceptPause = 50 * time.Millisecond

// Serve accepts from ln until it is closed; then it returns nil.
func (f *Front) Serve(ln *Listener) error {
	r := f.newRound()
	for {
		var failed error
		err := ln.fd.OnReadable(func() poll.Next {
			failed = f.accept(ln, r)
			if failed == nil {
				return poll.More
			}
			return poll.Until(failed != errNoMore)
		})
		switch {
		case errors.Is(err, os.ErrClosed), errors.Is(failed, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("cannot accept on %s: %w", ln.Addr(), err)
		case !outOfResources(failed):
			return fmt.Errorf("cannot accept on %s: %w", ln.Addr(), failed)
		}
		f.pause(failed)
	}
}

// pause lets some time pass, in which descriptors may become free. Clients
// wait in the kernel's queue.
func (f *Front) pause(cause error) {
	if f.Stats.Pauses.Add(1)%100 == 1 {
		f.log.Error("accepting pauses for want of resources", "err", cause,
			"hint", "raise the limit of open files (ulimit -n)")
	}
	select {
	case <-time.After(acceptPause):
	case <-f.ending.Done():
	}
}

// later runs task, which owns c, in a goroutine, if one more may wait; if not,
// it ends c and returns false.
func (f *Front) later(c Conn, task func()) bool {
	if f.waiters.start(task) {
		return true
	}
	f.Stats.Refused.Add(1)
	answerAndClose(c.FD, tooMany)
	return false
}

// Reroute takes a connection that a target gave back. from is that target's
// member; returned says that it had the connection and gave it back for its
// session, else it never had it.
func (f *Front) Reroute(c Conn, from *routing.Member, returned bool) {
	if returned {
		f.Stats.Returned.Add(1)
		f.router.Returned(from)
	} else {
		f.Stats.Rerouted.Add(1)
		f.router.Rerouted(from)
		c.Refusals++
	}
	unix.SetNonblock(c.FD, true) // the flag is the open file's: a target may have changed it
	q := routing.Query{From: from, Returned: returned}
	if f.frozen.Load() {
		f.kept.add(c, q)
		return
	}
	task := func() {
		if c.Refusals > maxRefusals {
			f.turnAway(c, look{verdict: refuse, answer: noWorker})
			return
		}
		if c.Refusals > 1 {
			f.sleep(f.ending, retryPause<<c.Refusals)
		}
		f.awaitHead(c, q)
	}
	if returned || c.Refusals > 1 {
		f.later(c, task) // as many as clients like: the limit holds for them as well
	} else {
		f.waiters.force(task) // it does not sleep: who waits was refused twice
	}
}
