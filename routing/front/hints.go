package front

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A suspicion is what may be wrong where sessions are not kept.
type suspicion int

const (
	nothing      suspicion = iota
	wrongPlace             // workers register sessions, and requests carry ids elsewhere
	blind                  // workers register sessions, and requests seem to carry no ids
	unregistered           // no worker registers sessions, and requests seem to carry ids elsewhere
	unbound                // no worker registers the sessions whose ids requests carry
	mismatch               // workers register sessions, but none whose id a request carries
)

// suspicions are what the log says, and how loud.
var suspicions = [...]struct {
	level slog.Level
	text  string
}{
	wrongPlace:   {slog.LevelWarn, "no request carries a session id where ids are looked for, though workers have registered sessions"},
	blind:        {slog.LevelInfo, "no request carries a session id where ids are looked for, though workers have registered sessions"},
	unregistered: {slog.LevelInfo, "no worker has registered a session, and no request carries an id where ids are looked for"},
	unbound:      {slog.LevelWarn, "requests carry session ids, but no worker has registered any session"},
	mismatch:     {slog.LevelWarn, "requests carry session ids, and workers have registered sessions, but no id is that of a session"},
}

// A hint is a suspicion, what speaks for it, and what to try.
type hint struct {
	suspicion
	search   *search
	sessions int64  // registered
	clue     string // where else requests carry something; "" for nowhere
}

const (
	handful = 5  // requests speak for something
	many    = 20 // do where it may have another reason
)

// hint returns what the search now gives reason to suspect.
//
// Who keeps to its first connection has later requests that are not seen here, and
// a WebSocket needs none. After a start all clients carry ids of before.
func (f *Front) hint(s *search) hint {
	h := hint{search: s, sessions: f.router.Bound()}
	carried, found, dead := s.results()
	without := f.Stats.Without.Load() - s.began
	clue := s.clues.best()
	switch {
	case len(s.sources) == 0, found+dead > 0: // an id was that of a session
	case carried == 0 && clue.n >= handful:
		h.clue = clue.spec
		if h.suspicion = wrongPlace; h.sessions == 0 {
			h.suspicion = unregistered
		}
	case carried == 0 && h.sessions >= many && without >= many:
		h.suspicion = blind
	case h.sessions == 0 && (carried >= handful && without > 0 || carried >= many):
		h.suspicion = unbound
	case carried >= handful && h.sessions >= handful:
		h.suspicion = mismatch
	}
	return h
}

// remedy says what to try.
func (h hint) remedy() string {
	const register = "register each session before its id is sent: in Go worker.Bind, in Node attach(io) or setupWorker(io), or --node-preload on"
	switch h.suspicion {
	case wrongPlace:
		return "is it --session " + quote(h.clue) + "?"
	case blind:
		return "unless clients keep their first connections, as WebSockets do: is --session right?"
	case unregistered:
		return "if workers keep sessions by that: --session " + quote(h.clue) + ", and " + register
	case mismatch:
		return "register a session by the id as requests carry it: the whole value of a signed cookie, a parameter as it is when decoded"
	}
	return register
}

// quote writes a source as a shell takes it.
func quote(spec string) string {
	if strings.ContainsAny(spec, "*{}") {
		return "'" + spec + "'"
	}
	return spec
}

// String is the hint in a sentence.
func (h hint) String() string {
	places := strings.Join(h.search.places(), ", ")
	seen := ""
	if h.clue != "" {
		seen = "; requests carry " + inWords(h.clue)
	}
	switch h.suspicion {
	case wrongPlace, blind:
		return fmt.Sprintf("no request carries a session id in %s, though workers have registered %s%s: %s", places, number(h.sessions), seen, h.remedy())
	case unregistered:
		return fmt.Sprintf("no worker has registered a session, and no request carries an id in %s%s; %s", places, seen, h.remedy())
	case unbound:
		return fmt.Sprintf("requests carry session ids in %s, but no worker has registered any session; %s", places, h.remedy())
	case mismatch:
		return fmt.Sprintf("requests carry session ids in %s, and workers have registered %s, but no id is that of a session; %s", places, number(h.sessions), h.remedy())
	}
	return ""
}

func number(sessions int64) string {
	if sessions == 1 {
		return "1 session"
	}
	return fmt.Sprint(sessions, " sessions")
}

// inWords says what a clue is.
func inWords(spec string) string {
	kind, name, _ := strings.Cut(spec, ":")
	switch kind {
	case "cookie":
		return fmt.Sprintf("the cookie %q", name)
	case "header":
		return "the field " + name
	case "query":
		return fmt.Sprintf("the parameter %q", name)
	}
	return "paths such as " + strings.NewReplacer("*", "000", "{}", "SESSION").Replace(name) + "/xhr"
}

func (h hint) log(to *slog.Logger) {
	what := suspicions[h.suspicion]
	attrs := []slog.Attr{slog.Any("session", h.search.places()), slog.Int64("sessions", h.sessions)}
	if h.clue != "" {
		attrs = append(attrs, slog.String("requests_carry", h.clue))
	}
	to.LogAttrs(context.Background(), what.level, what.text, append(attrs, slog.String("hint", h.remedy()))...)
}

// told is which suspicions the log has, each once.
type told struct {
	mu   sync.Mutex
	done [len(suspicions)]bool
	busy bool // one is about to be told, or not
}

// begin reports whether a suspicion is not told yet, nor another about to be.
func (t *told) begin(s suspicion) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || t.done[s] {
		return false
	}
	t.busy = true
	return true
}

// end notes whether the suspicion was told.
func (t *told) end(s suspicion, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy, t.done[s] = false, done
}

func (t *told) has(s suspicion) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done[s]
}

// secondThought is how long a suspicion has to last: after a start a few requests
// may come before the first session is registered, or before its second request.
const secondThought = 2 * time.Second

// consider is called for the nth connection that was handed over without an id, or
// with one that is nobody's. Of that there may be many, and all be well; but where
// it is all there is, there is a mistake somewhere, and hard to see.
func (f *Front) consider(n int64) {
	s := f.settings.Load().search
	if n%handful != 0 || s.found() || f.stopping.Err() != nil {
		return
	}
	h := f.hint(s)
	if h.suspicion == nothing || !s.told.begin(h.suspicion) {
		return
	}
	f.asides.force(func() {
		lasts := f.sleep(f.stopping, secondThought) && f.settings.Load().search == s
		if lasts {
			again := f.hint(s)
			if lasts = again.suspicion == h.suspicion; lasts {
				again.log(f.log)
			}
		}
		s.told.end(h.suspicion, lasts)
	})
}

// Hint says in a sentence why sessions may not be kept, if the log has it and it
// holds still; else it is "".
func (f *Front) Hint() string {
	s := f.settings.Load().search
	h := f.hint(s)
	if h.suspicion == nothing || !s.told.has(h.suspicion) {
		return ""
	}
	return h.String()
}
