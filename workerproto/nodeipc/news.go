package nodeipc

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// news is that there are sessions. Until there were any, a library may have been
// told that there are none, and takes no request for another worker's. Who registers
// the first ones tells no client of them before all libraries know better: each
// library waits, once, until it hears that this is so.
type news struct {
	bound   atomic.Bool // some worker has registered a session, ever
	settled atomic.Bool // and no library thinks otherwise

	// Of the hub's mu.
	unheard map[*Link]bool // were told that there are none, and have not heard of any
	waiting map[*Link]bool // have registered some, and were not told that all know
	timer   *time.Timer
}

// newsPatience is how long a worker is waited for that says nothing, as one does
// whose event loop is blocked: as soon as it goes on it hears that there are sessions.
const newsPatience = 2 * time.Second

// noteBound notes that l has registered a session.
func (h *Hub) noteBound(l *Link) {
	n := &h.news
	if n.settled.Load() {
		l.tellSettled()
		return
	}
	h.mu.Lock()
	n.waiting[l] = true
	var told []*Link
	if !n.bound.Swap(true) {
		for other := range h.seats {
			if other.helper.nobody.Load() {
				n.unheard[other] = true
				told = append(told, other)
			}
		}
	}
	if n.timer == nil {
		n.timer = time.AfterFunc(newsPatience, h.settle)
	}
	h.mu.Unlock()
	for _, other := range told {
		other.tellOfSessions()
	}
	h.settleIfHeard()
}

// hearNews notes that l's library knows that there are sessions, or that l has
// left.
func (h *Hub) hearNews(l *Link) {
	h.mu.Lock()
	delete(h.news.unheard, l)
	h.mu.Unlock()
	h.settleIfHeard()
}

func (h *Hub) settleIfHeard() {
	h.mu.Lock()
	all := h.news.bound.Load() && len(h.news.unheard) == 0
	h.mu.Unlock()
	if all {
		h.settle()
	}
}

func (h *Hub) settle() {
	n := &h.news
	h.mu.Lock()
	n.settled.Store(true)
	if n.timer != nil {
		n.timer.Stop()
	}
	waiting := slices.Collect(maps.Keys(n.waiting))
	clear(n.waiting)
	clear(n.unheard)
	h.mu.Unlock()
	for _, l := range waiting {
		l.tellSettled()
	}
}

// restoreNews notes what is known of l, which is being thawed: before any link of
// its hub runs.
func (h *Hub) restoreNews(l *Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.bound {
		h.news.bound.Store(true)
	}
	if l.helper.nobody.Load() {
		h.news.unheard[l] = true
	}
}

// resumeNews goes on with what restoreNews has noted.
func (h *Hub) resumeNews(l *Link) {
	if l.helper.nobody.Load() && h.news.bound.Load() {
		l.tellOfSessions()
	}
	l.read.Lock()
	bound := l.bound
	l.read.Unlock()
	if bound {
		h.noteBound(l)
	}
}

func (l *Link) tellOfSessions() { l.send(object{{"cmd", ours}, {"act", "sessions"}}) }

// tellSettled tells the library, once, that it may tell clients of its sessions as
// soon as it has registered them.
func (l *Link) tellSettled() {
	l.write.Lock() // a state has both, or neither
	defer l.write.Unlock()
	if l.helper.here.Load() && !l.helper.settled.Swap(true) {
		l.sendLocked(object{{"cmd", ours}, {"act", "settled"}})
	}
}
