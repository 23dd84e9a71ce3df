package front

import (
	"reflect"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
)

// A State is what a front has when it is frozen. The descriptors in it are open,
// close-on-exec and whose the state is.
type State struct {
	Waiting   []WaitingState   `json:"waiting"`
	Counters  map[string]int64 `json:"counters"` // of Stats, by field
	HeadWait  HistogramState   `json:"head_wait"`
	QueueWait HistogramState   `json:"queue_wait"`
	Sources   []SourceCounts   `json:"sources"`
}

// A WaitingState is a connection that no target has. What its client sent is in
// the kernel, but for Replay.
type WaitingState struct {
	FD       int    `json:"fd"`
	Replay   []byte `json:"replay,omitempty"`
	Refusals int    `json:"refusals,omitempty"`

	// From is the incarnation of routing.Query.From, 0 for none.
	From     uint32 `json:"from,omitempty"`
	Returned bool   `json:"returned,omitempty"`
	Parked   bool   `json:"parked,omitempty"`
}

// kept is the connections of a frozen front.
type kept struct {
	mu  sync.Mutex
	all []held
}

func (k *kept) add(c Conn, q routing.Query) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, held{c, q})
}

// Freeze ends all that waits, and answers and closes nothing: the connections
// are kept for State, and so are those that Reroute gets from now on. After it
// no target gets anything. Before it the listeners must be detached
// (Listener.Detach), and targets and the router's sync must work until it
// returns: that takes a second at most (lingerTime), since a client that is
// being sent away may hear us out.
func (f *Front) Freeze() {
	f.frozen.Store(true)
	f.end()
	f.waiters.giveUpHeads()
	f.waiters.wait()
}

// State returns what a frozen front has, once, and ends the front. No target may
// call Reroute any more.
func (f *Front) State() State {
	f.waiters.wait() // a Reroute may have begun before Freeze
	f.hangups.close()
	f.tasks.wait()
	f.spare.Lock()
	defer f.spare.Unlock()
	f.spare.release()
	s := State{Counters: make(map[string]int64), HeadWait: f.Stats.HeadWait.state(), QueueWait: f.Stats.QueueWait.state(), Sources: f.Sources()}
	for name, c := range f.Stats.counters() {
		s.Counters[name] = c.Load()
	}
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	for _, h := range f.kept.all {
		s.Waiting = append(s.Waiting, stateOf(h))
	}
	f.kept.all = nil
	return s
}

func stateOf(h held) WaitingState {
	w := WaitingState{FD: h.FD, Replay: h.Replay, Refusals: h.Refusals, Returned: h.Returned, Parked: h.Parked}
	if h.From != nil {
		w.From = uint32(h.From.Incarnation())
	}
	return w
}

// Resume takes ownership of what another front had when it was frozen. Each
// connection is looked at anew, and the time that it may wait begins anew; none
// is turned away for being one too many. member returns the member of an
// incarnation, nil for one that is gone.
func (f *Front) Resume(s State, member func(incarnation uint32) *routing.Member) {
	for name, c := range f.Stats.counters() {
		c.Add(s.Counters[name])
	}
	f.Stats.HeadWait.restore(s.HeadWait)
	f.Stats.QueueWait.restore(s.QueueWait)
	f.restoreSources(s.Sources)
	for _, w := range s.Waiting {
		unix.CloseOnExec(w.FD)
		q := routing.Query{Parked: w.Parked}
		if w.From != 0 {
			q.From = member(w.From)
			q.Returned = w.Returned && q.From != nil
		}
		f.waiters.force(func() {
			f.awaitHead(Conn{FD: w.FD, Replay: w.Replay, Refusals: w.Refusals}, q)
		})
	}
}

// counters returns the counters by their fields' names. (By reflection: one that
// is added must not be forgotten.)
func (s *Stats) counters() map[string]*atomic.Int64 {
	all := make(map[string]*atomic.Int64)
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if c, ok := v.Field(i).Addr().Interface().(*atomic.Int64); ok {
			all[v.Type().Field(i).Name] = c
		}
	}
	return all
}
