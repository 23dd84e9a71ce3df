package front

import (
	"time"

	"github.com/stickyd/stickyd/routing"
)

// suspicious is how many requests with unknown ids make it worth a line in the
// log that no id is known at all.
const suspicious = 20

// noteUnknown counts a request whose id is nobody's. That happens, and to each
// client of a stickyd before this one; but where sessions could have begun and
// no worker has ever registered one it is a mistake, and hard to see.
func (f *Front) noteUnknown() {
	if f.Stats.Unknown.Add(1)%suspicious != 0 || f.Stats.Without.Load() < suspicious || f.router.Bound() > 0 {
		return
	}
	f.unbound.Do(func() {
		f.log.Warn("requests carry session ids, but no worker has registered any session: does it call Bind?",
			"requests", f.Stats.Unknown.Load(), "session", f.settings.Load().Sessions.Strings())
	})
}

// noteWithout counts a request without an id. Where sessions are registered and
// no request has ever carried one, ids may be somewhere else than we look; or
// each client keeps to its first connection, whose later requests we don't see.
func (f *Front) noteWithout() {
	if f.Stats.Without.Add(1)%suspicious != 0 || f.router.Bound() < suspicious || f.Stats.Known.Load()+f.Stats.Unknown.Load() > 0 {
		return
	}
	f.blind.Do(func() {
		f.log.Info("workers have registered sessions, but no connection has begun with a session id: unless clients keep their connections, is --session right?",
			"sessions", f.router.Bound(), "session", f.settings.Load().Sessions.Strings())
	})
}

// deliver is hand for a connection that goes alone, after it has waited for a target.
func (f *Front) deliver(c Conn, to routing.Route, q *routing.Query, waited time.Duration) bool {
	if !f.hand(c, to, q) {
		return false
	}
	f.Stats.HeadWait.observe(c.headWait)
	f.Stats.QueueWait.observe(waited)
	to.Member.Target.(Target).Flush()
	return true
}

// hand gives c to its target, which is to be flushed. If that fails the caller
// has it still, and q says whom not to ask again.
func (f *Front) hand(c Conn, to routing.Route, q *routing.Query) bool {
	if err := to.Member.Target.(Target).Hand(c, to.Session); err != nil {
		f.router.Release(to)
		q.From, q.Returned, q.Missed = to.Member, false, to.Lookup != routing.Found
		return false
	}
	f.Stats.Handed.Add(1)
	f.router.Handed(to)
	c.source.count(to.Lookup)
	switch {
	case to.Session:
		f.Stats.Known.Add(1)
	case len(q.Session) > 0:
		f.noteUnknown()
	default:
		f.noteWithout()
	}
	return true
}
