package nodeipc

import (
	"sync"
	"time"

	"github.com/stickyd/stickyd/workerproto"
)

// loadExpires is how long a connection counts as load by itself if the worker
// never says what became of it.
//
// A published worker says when sessions begin and end, and nothing of
// connections. So a new session is taken to be what the oldest such connection
// became, and what becomes none (a preflight, a static file, a plain HTTP
// request) is forgotten after a while: to count it for ever would keep a
// worker from getting connections long after they have ended, and not to count
// it would send a whole burst of handshakes to one worker. Five seconds are
// longer than a handshake takes on a machine that is not lost already.
const loadExpires = 5 * time.Second

// load is the connections that the worker has taken and that count as load by
// themselves. Its methods may be called from any goroutine.
type load struct {
	mu    sync.Mutex
	open  int
	since []time.Time   // when the open ones that expire were taken, in order
	begun chan struct{} // buffered 1: there is something to expire
	exact bool          // the worker tells; nothing expires
}

func (l *load) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	if l.exact {
		return
	}
	l.since = append(l.since, time.Now())
	if len(l.since) == 1 {
		select {
		case l.begun <- struct{}{}:
		default:
		}
	}
}

// settle takes up to n of them off and returns how many.
func (l *load) settle(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settleLocked(n)
}

func (l *load) settleLocked(n int) int {
	n = min(max(n, 0), l.open)
	l.open -= n
	l.since = l.since[min(n, len(l.since)):]
	return n
}

func (l *load) state(now time.Time) (open int, since []workerproto.Age) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.since {
		since = append(since, workerproto.AgeAt(at, now))
	}
	return l.open, since
}

func (l *load) restore(open int, since []workerproto.Age, exact bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open, l.since, l.exact = open, nil, exact
	for _, age := range since {
		l.since = append(l.since, age.Before(now))
	}
}

// trust makes the worker's word the only one.
func (l *load) trust() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exact, l.since = true, nil
}

// expire takes off those that have counted long enough and returns how many,
// and when it has to be called again: after wait, or not at all.
func (l *load) expire(now time.Time) (n int, wait time.Duration, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < len(l.since) && now.Sub(l.since[n]) >= loadExpires {
		n++
	}
	n = l.settleLocked(n)
	if len(l.since) == 0 {
		return n, 0, false
	}
	return n, loadExpires - now.Sub(l.since[0]), true
}
