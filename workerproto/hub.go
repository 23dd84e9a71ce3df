package workerproto

import "sync"

// A Hub passes on what workers publish: each message to the other workers that
// have subscribed to its topic, to all of them in the same order. What nobody
// has subscribed to goes nowhere. Its methods may be called from any goroutine.
//
// It keeps no message: what a worker does not read waits in that worker's
// outbox, up to maxPublished, and then ends its Link.
type Hub struct {
	mu          sync.Mutex
	subscribers map[string]map[*Link]struct{} // by topic
}

// NewHub returns a hub for the links of one stickyd.
func NewHub() *Hub {
	return &Hub{subscribers: make(map[string]map[*Link]struct{})}
}

func (h *Hub) subscribe(l *Link, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers[topic] == nil {
		h.subscribers[topic] = make(map[*Link]struct{})
	}
	h.subscribers[topic][l] = struct{}{}
}

// publish passes on one frame of a message.
func (h *Hub) publish(from *Link, flags uint8, topic, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var frame []byte // is made once, and only if somebody wants it
	for l := range h.subscribers[string(topic)] {
		if l == from {
			continue
		}
		if frame == nil {
			frame = appendDelivery(nil, flags, from.terms.Incarnation, topic, payload)
		}
		l.deliver(frame)
	}
}

// forget forgets l, without a word to others, and returns what it had subscribed
// to.
func (h *Hub) forget(l *Link) (topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic, links := range h.subscribers {
		if _, ok := links[l]; ok {
			topics = append(topics, topic)
		}
		h.dropLocked(topic, l)
	}
	return topics
}

func (h *Hub) dropLocked(topic string, l *Link) {
	links := h.subscribers[topic]
	if delete(links, l); len(links) == 0 {
		delete(h.subscribers, topic)
	}
}

// leave forgets l. The topics in unfinished have a message of l's under way, of
// which nothing more will come.
func (h *Hub) leave(l *Link, unfinished map[string]struct{}) {
	for topic := range unfinished {
		h.publish(l, FlagAborted, []byte(topic), nil)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic := range h.subscribers {
		h.dropLocked(topic, l)
	}
}
