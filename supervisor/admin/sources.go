package admin

import (
	"fmt"
	"slices"
	"strings"
)

// ids is the line that tells what became of session ids. It is empty where that is
// of no interest: there is one place for ids, and all were found.
func (s *Status) ids() string {
	if len(s.Sources) < 2 && !slices.ContainsFunc(s.Sources, func(c Source) bool { return c.Dead+c.Unknown > 0 }) {
		return ""
	}
	var parts []string
	for _, c := range s.Sources {
		parts = append(parts, c.Source+" "+c.outcome())
	}
	return "ids: " + strings.Join(parts, "; ")
}

// outcome says what became of the ids in one place.
func (c *Source) outcome() string {
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{c.Found, "found"}, {c.Dead, "of dead workers"}, {c.Unknown, "unknown"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprint(part.n, " ", part.what))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
