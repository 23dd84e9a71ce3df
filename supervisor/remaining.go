package supervisor

import (
	"strings"
	"time"
)

// A Remainder is what somebody waits for: workers that come to their ends, and
// what they have. Two that are equal look the same but for the time that is left.
type Remainder struct {
	Workers     int       // that still have a process
	Sessions    int       // of theirs
	Connections int       // of theirs, but for those of sessions
	Until       time.Time // the last of them is killed at the latest; zero: none has been told to end
}

// Remaining returns what there is to wait for until all workers have ended.
func (s *Supervisor) Remaining() Remainder { return remaining(s.all()) }

func remaining(slots []*slot) (r Remainder) {
	for _, sl := range slots {
		now := sl.status.Load()
		if now.PID == 0 {
			continue
		}
		r.Workers++
		if now.client != nil {
			sessions, open := now.client.Remaining()
			r.Sessions += sessions
			r.Connections += open
		}
		if now.End.After(r.Until) {
			r.Until = now.End
		}
	}
	return r
}

// String says it in a sentence without its end.
func (r Remainder) String() string { return r.text("worker") }

// text is String for workers that are called so.
func (r Remainder) text(whose string) string {
	text := "waiting for " + counted(r.Workers, whose, whose+"s")
	if has := r.has("open connection"); len(has) > 0 {
		text += " with " + strings.Join(has, " and ")
	}
	if left := r.left(); left != "" {
		text += ", at most " + left + " more"
	}
	return text
}

// Short says it in a few words.
func (r Remainder) Short() string {
	parts := append([]string{counted(r.Workers, "worker", "workers")}, r.has("connection")...)
	if left := r.left(); left != "" {
		parts = append(parts, left+" left")
	}
	return strings.Join(parts, ", ")
}

func (r Remainder) has(connection string) (parts []string) {
	if r.Sessions > 0 {
		parts = append(parts, counted(r.Sessions, "session", "sessions"))
	}
	if r.Connections > 0 {
		parts = append(parts, counted(r.Connections, connection, connection+"s"))
	}
	return parts
}

// left is the time that is left, in seconds; "" for none, or if nobody knows.
func (r Remainder) left() string {
	d := time.Until(r.Until).Round(time.Second)
	if d <= 0 {
		return ""
	}
	return d.String()
}
