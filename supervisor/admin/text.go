package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// count is a number of things, in the plural where it should be.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n, " ", thing, "s")
}

// wrap breaks text between words into lines of at most width characters, but for
// words that are longer. All but the first are indented.
func wrap(text string, width, indent int) (lines []string) {
	return terminal.Wrap(strings.Fields(text), width, indent)
}

// rows is how many rows of a terminal lines take.
func rows(lines []string, width int) (n int) {
	for _, line := range lines {
		n += max(1, (terminal.Width(line)+width-1)/width)
	}
	return n
}

// since is the time from one moment to another in its two highest units.
func since(from, to time.Time) string {
	d := max(to.Sub(from), 0)
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= 10*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.Round(100 * time.Millisecond).String()
}
