package nodeipc

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
)

// What marks messages that are for other workers: those of
// @socket.io/cluster-adapter, by their member source, and those of
// @socket.io/cluster-engine (lib/cluster.ts), by _source.
const (
	adapterSource = "_sio_adapter"
	engineSource  = "_eio"
)

// Types of adapter messages that mean something here. Versions 0.2 (without
// uid; dist/index.js of @socket.io/cluster-adapter) and 0.3 (MessageType in
// socket.io-adapter) number them differently.
const (
	oldWorkerExit     = 3
	oldFetchResponse  = 9
	oldServerResponse = 11
	adapterClose      = 13
)

// maxAdapters bounds how many adapters (one for each namespace) a hub
// remembers of one worker, and maxAdapterName the name and namespace of each in
// bytes.
const (
	maxAdapters    = 10_000
	maxAdapterName = 1 << 10
)

// A Hub is where all workers meet: what the cluster adapter or engine of one says
// goes to the others, as it came, and answers go to the one that has asked. It also
// keeps what their servers have in common. Its methods may be called from any
// goroutine; none blocks.
type Hub struct {
	news news

	mu       sync.Mutex
	seats    map[*Link]*seat
	byUID    map[string]*Link // whose an adapter of version 0.3 is
	byEngine map[string]*Link // whose a cluster engine is
	common   map[string]json.RawMessage
	noted    map[string]bool
}

// A seat is what the hub knows of one worker.
type seat struct {
	namespaces map[string]string // of its adapters of version 0.3, by uid
	engine     string            // name of its cluster engine, "" for none
	old        bool              // it has spoken version 0.2
}

// NewHub returns a hub without workers.
func NewHub() *Hub {
	return &Hub{
		seats: make(map[*Link]*seat), byUID: make(map[string]*Link), byEngine: make(map[string]*Link),
		common: make(map[string]json.RawMessage), noted: make(map[string]bool),
		news: news{unheard: make(map[*Link]bool), waiting: make(map[*Link]bool)},
	}
}

// first reports whether it is called for the first time with that name.
func (h *Hub) first(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.noted[name] = true }()
	return !h.noted[name]
}

func (h *Hub) join(l *Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seats[l] == nil { // it may have been thawed
		h.seats[l] = &seat{namespaces: make(map[string]string)}
	}
}

// forget takes out l, without a word to others, and returns what was known of it.
func (h *Hub) forget(l *Link) (s seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if taken := h.takeLocked(l); taken != nil {
		s = *taken
	}
	return s
}

// restore undoes forget.
func (h *Hub) restore(l *Link, s seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.namespaces == nil {
		s.namespaces = make(map[string]string)
	}
	h.seats[l] = &s
	for uid := range s.namespaces {
		h.byUID[uid] = l
	}
	if s.engine != "" {
		h.byEngine[s.engine] = l
	}
}

// takeLocked takes out l and returns its seat, nil if it has none.
func (h *Hub) takeLocked(l *Link) *seat {
	s := h.seats[l]
	if s == nil {
		return nil
	}
	delete(h.seats, l)
	for uid := range s.namespaces {
		delete(h.byUID, uid)
	}
	if h.byEngine[s.engine] == l {
		delete(h.byEngine, s.engine)
	}
	return s
}

// leave tells the other workers that l's adapters are gone, so that nobody
// waits for their answers. Later calls do nothing.
func (h *Hub) leave(l *Link) {
	h.mu.Lock()
	s := h.takeLocked(l)
	if s == nil {
		h.mu.Unlock()
		return
	}
	others := h.othersLocked(l)
	delete(h.news.waiting, l)
	h.mu.Unlock()
	h.hearNews(l)

	var farewells []object
	for uid, namespace := range s.namespaces {
		farewells = append(farewells, object{{"source", adapterSource}, {"type", adapterClose}, {"uid", uid}, {"nsp", namespace}})
	}
	if s.old {
		farewells = append(farewells, object{{"source", adapterSource}, {"type", oldWorkerExit}, {"data", int(l.terms.Incarnation)}})
	}
	for _, o := range farewells {
		frame := l.codec.encode(o)
		for _, other := range others {
			other.relay(frame)
		}
	}
}

// concerns reports whether a message is for other workers.
func (h *Hub) concerns(m object) bool {
	return m.text("source") == adapterSource || m.text("_source") == engineSource
}

// relayUnread passes on a message that stickyd can't read, if it is for others.
func (h *Hub) relayUnread(from *Link, frame []byte) {
	for member, source := range map[string]string{"source": adapterSource, "_source": engineSource} {
		if bytes.Contains(frame, []byte(source)) {
			h.relay(from, object{{member, source}}, frame)
		}
	}
}

// relay passes a message on. frame is valid during the call.
func (h *Hub) relay(from *Link, m object, frame []byte) {
	receivers := h.receivers(from, m)
	if len(receivers) == 0 {
		return
	}
	frame = bytes.Clone(frame)
	for _, l := range receivers {
		l.relay(frame)
	}
}

// receivers says whom a message of from is for.
func (h *Hub) receivers(from *Link, m object) []*Link {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seats[from]
	if s == nil {
		return nil
	}
	if m.text("_source") == engineSource {
		return h.engineReceiversLocked(from, s, m)
	}
	uid := m.text("uid")
	if uid == "" {
		return h.oldReceiversLocked(from, s, m)
	}
	if nsp := m.text("nsp"); h.byUID[uid] == nil && len(s.namespaces) < maxAdapters && len(uid)+len(nsp) <= maxAdapterName {
		s.namespaces[uid] = nsp
		h.byUID[uid] = from
	}
	if kind, _ := m.number("type"); kind == adapterClose && h.byUID[uid] == from {
		delete(s.namespaces, uid)
		delete(h.byUID, uid)
	}
	requester := m.text("requesterUid")
	if requester == "" {
		return h.othersLocked(from)
	}
	if to := h.byUID[requester]; to != nil && to != from {
		return []*Link{to}
	}
	return nil // it is gone
}

// engineReceiversLocked: a message of a cluster engine names its sender, and may
// name the one that it is for.
func (h *Hub) engineReceiversLocked(from *Link, s *seat, m object) []*Link {
	if name := m.text("senderId"); s.engine == "" && name != "" && len(name) <= maxAdapterName && h.byEngine[name] == nil {
		s.engine = name
		h.byEngine[name] = from
	}
	if to := h.byEngine[m.text("recipientId")]; to != nil && to != from {
		return []*Link{to}
	}
	return h.othersLocked(from)
}

func (h *Hub) oldReceiversLocked(from *Link, s *seat, m object) []*Link {
	kind, ok := m.number("type")
	s.old = s.old || ok
	if kind != oldFetchResponse && kind != oldServerResponse {
		return h.othersLocked(from)
	}
	requester, _ := m.inner("data").number("workerId")
	return slices.DeleteFunc(h.othersLocked(from), func(l *Link) bool {
		return int(l.terms.Incarnation) != requester
	})
}

// othersLocked returns the workers that understand what l says.
func (h *Hub) othersLocked(l *Link) []*Link {
	others := make([]*Link, 0, len(h.seats))
	for other := range h.seats {
		if other != l && other.codec == l.codec {
			others = append(others, other)
		}
	}
	return others
}
