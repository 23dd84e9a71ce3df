package workerproto

import (
	"slices"
	"sync/atomic"
)

// A ledger keeps a worker honest about the connections that it was handed.
type ledger struct {
	// open is how many connections count as load: handed, and neither adopted
	// by a session, nor closed, nor back here.
	open atomic.Int64

	// returned has the last ids that came back: a ring, since nothing may be
	// kept for a connection for ever.
	returned [4096]uint64
	count    int
}

func (l *ledger) handed(c Connection) {
	if !c.Session {
		l.open.Add(1)
	}
}

// settle takes n connections off the load.
func (l *ledger) settle(t Type, n int64) error {
	if left := l.open.Add(-n); left < 0 {
		return protocolErrorf("%s of %d connections, but only %d were open", t, n, left+n)
	}
	return nil
}

// giveBack notes that connection id was returned.
func (l *ledger) giveBack(id uint64) error {
	if slices.Contains(l.returned[:min(l.count, len(l.returned))], id) {
		return protocolErrorf("RETURN of connection %d, which was returned before", id)
	}
	l.returned[l.count%len(l.returned)] = id
	l.count++
	return nil
}
