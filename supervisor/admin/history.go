package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// A LogLine is a line that a worker printed, and its number.
type LogLine struct {
	Seq uint64 `json:"seq"`
	logs.Line
}

// A LogEvent is a record of stickyd's log, and its number.
type LogEvent struct {
	Seq uint64 `json:"seq"`
	logs.Event
}

// A Mark is a line between those of a history. Either Lost or End is set.
type Mark struct {
	Lost uint64 `json:"lost,omitempty"` // that many, of whomever, were dropped here: they were not read in time
	End  string `json:"end,omitempty"`  // why no more is told: one of the Ends
	Seq  uint64 `json:"seq,omitempty"`  // with End: go on after that
}

// Why a history that was followed ends.
const (
	EndStopped = "stopped" // stickyd ends
	EndUpgrade = "upgrade" // ask again: another binary takes over
)

// What an answer's head says of a history: which one it is, and after which
// number the answer begins.
const (
	headerHistory = "Stickyd-History"
	headerAfter   = "Stickyd-After"
)

// A historyRequest is the query of a request for a history.
type historyRequest struct {
	n      int    // the last ones, if after was not given
	follow bool   // then also what comes
	of     string // the history that after belongs to
	after  uint64
	slot   int // 0: all
}

// defaultLast is how much of a history is shown.
const defaultLast = 100

func parseHistory(q url.Values) (h historyRequest, err error) {
	h.n = defaultLast
	for name, into := range map[string]*int{"n": &h.n, "slot": &h.slot} {
		if text := q.Get(name); text != "" {
			if *into, err = strconv.Atoi(text); err != nil || *into < 0 {
				return h, fmt.Errorf("%s is not a number of 0 or more: %q", name, text)
			}
		}
	}
	h.of, h.follow = q.Get("of"), q.Get("follow") != ""
	if text := q.Get("after"); text != "" {
		if h.after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return h, fmt.Errorf("after is not a number: %q", text)
		}
	}
	return h, nil
}

func (h *historyRequest) query() string {
	q := url.Values{"n": {strconv.Itoa(h.n)}}
	if h.follow {
		q.Set("follow", "1")
	}
	if h.slot > 0 {
		q.Set("slot", strconv.Itoa(h.slot))
	}
	if h.of != "" {
		q.Set("of", h.of)
		q.Set("after", strconv.FormatUint(h.after, 10))
	}
	return q.Encode()
}

func (s *Server) logs(rw http.ResponseWriter, r *http.Request) {
	h, err := parseHistory(r.URL.Query())
	if err == nil && h.slot > 0 && h.of == "" { // who goes on had one
		err = s.knownSlot(h.slot)
	}
	if err != nil {
		fail(rw, http.StatusBadRequest, err)
		return
	}
	tell(s, rw, r, h, s.running.Logs(), func(l *logs.Line) bool { return h.slot == 0 || h.slot == l.Slot },
		func(seq uint64, l logs.Line) any { return LogLine{seq, l} })
}

func (s *Server) events(rw http.ResponseWriter, r *http.Request) {
	h, err := parseHistory(r.URL.Query())
	if err != nil {
		fail(rw, http.StatusBadRequest, err)
		return
	}
	tell(s, rw, r, h, s.running.Events(), func(*logs.Event) bool { return true },
		func(seq uint64, e logs.Event) any { return LogEvent{seq, e} })
}

// knownSlot returns an error for a slot that there is not, and of which nothing is
// known from before.
func (s *Server) knownSlot(slot int) error {
	now := s.running.Status()
	last := 0
	for i := range now.Workers {
		last = max(last, now.Workers[i].Slot)
	}
	if slot <= last {
		return nil
	}
	lines := s.running.Logs()
	of := func(l *logs.Line) bool { return l.Slot == slot }
	if lines.Last(1, of) != lines.Last(0, of) {
		return nil
	}
	return fmt.Errorf("there is no worker %d; they are numbered 1 to %d", slot, last)
}

// begins is the number at which an answer begins. All of another history is new
// to who asks.
func begins[T any](h *historyRequest, ring *logs.Ring[T], wanted func(*T) bool) uint64 {
	switch h.of {
	case "":
		return ring.Last(h.n, wanted)
	case ring.ID():
		return h.after + 1
	}
	_, first := ring.From(0, 0)
	return first
}

// historyPiece is how many items are taken from a ring at once.
const historyPiece = 256

// tell answers with what is wanted of a history, and with what comes, if that is
// followed. Nobody waits for who reads slowly: what the ring has dropped
// meanwhile is lost, and counted.
func tell[T any](s *Server, rw http.ResponseWriter, r *http.Request, h historyRequest, ring *logs.Ring[T],
	wanted func(*T) bool, line func(uint64, T) any) {
	told := s.tells()
	defer told()
	next, last := begins(&h, ring, wanted), ring.Last(0, wanted)
	rw.Header().Set(headerHistory, ring.ID())
	rw.Header().Set(headerAfter, strconv.FormatUint(next-1, 10))
	to, end := newLines(rw), ""
	for h.follow || next < last {
		items, first := ring.From(next, historyPiece)
		if first > next {
			to.Encode(Mark{Lost: first - next})
		}
		for i := range items {
			if wanted(&items[i]) {
				to.Encode(line(first+uint64(i), items[i]))
			}
		}
		if to.Flush() != nil {
			return
		}
		next = first + uint64(len(items))
		if !h.follow {
			continue
		}
		select {
		case <-ring.Grown(next):
		case <-s.ended:
			end = EndStopped
		case <-s.frozen:
			end = EndUpgrade
		case <-r.Context().Done():
			return
		}
		if end != "" { // what is there by now is told, however much comes
			h.follow, last = false, ring.Last(0, wanted)
		}
	}
	if end != "" {
		to.Encode(Mark{End: end, Seq: next - 1})
		to.Flush()
	}
}
