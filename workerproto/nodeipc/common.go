package nodeipc

import "encoding/json"

// Servers of several workers that listen at one address have something in common:
// what the first of them sent along when it asked, every other gets with the
// answer, as from Node's own primary (queryServer in lib/internal/cluster/primary.js).
// That is how TLS servers come to share the keys of their session tickets, and
// clients resume with any of them. It is kept for as long as stickyd runs, so that
// they can also do so with a worker's replacement.

const (
	// maxCommon bounds how many such values are kept, and maxCommonBytes each.
	maxCommon      = 1024
	maxCommonBytes = 64 << 10
)

// keepData keeps a value for all servers of that name, if it is the first.
func (h *Hub) keepData(name string, value any) {
	text, isText := value.(json.RawMessage)
	if !isText && value != nil {
		text = appendJSON(nil, value)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.common[name] == nil && len(text) > 0 && len(text) <= maxCommonBytes && len(h.common) < maxCommon {
		h.common[name] = text
	}
}

// sharedData returns the value for servers of that name, as JSON; nil for none.
func (h *Hub) sharedData(name string) json.RawMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.common[name]
}

// data is sharedData as a codec writes it.
func (h *Hub) data(name string) any {
	text := h.sharedData(name)
	if text == nil {
		return nil
	}
	return jsonValue(text, 1)
}
