package front

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// A suspicion is a likely reason why requests miss their sessions.
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

// remedy says what to try.
func (h hint) remedy() string {
	const (
		register = "register each session before you send its id: worker.Bind in Go; in Node the preload does it (--node-preload) for Socket.IO and for ids in headers and cookies, bind(id) for others"
		inGo     = " (in Go register each session, too: worker.Bind, before you send its id)"
	)
	switch h.suspicion {
	case wrongPlace:
		return "is it --session " + quote(h.clue) + "?"
	case blind:
		return "is --session right? (It may be: later requests on a client's first connection are not seen here, nor WebSockets.)"
	case unregistered:
		return "if that identifies a session, use --session " + quote(h.clue) + inGo + "; if there are none, use --session none"
	case mismatch:
		return "register each id exactly as requests carry it: of a signed cookie the whole value, of a query or path the decoded one"
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
