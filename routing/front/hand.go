package front

import (
	"time"

	"github.com/stickyd/stickyd/routing"
)

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
		f.consider(f.Stats.Unknown.Add(1))
	default:
		f.consider(f.Stats.Without.Add(1))
	}
	return true
}
