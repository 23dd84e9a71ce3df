package logs

import (
	"os"
	"unicode/utf8"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// This file is the status line: on a terminal, a line below all others that is
// written over in place. The spool writes it, as it does the lines, so that
// neither tears the other.

// HasStatus reports whether there is a status line: stderr is a terminal, and
// what is written there is for people.
func (l *Logs) HasStatus() bool {
	return !l.json && os.Getenv("TERM") != "dumb" && terminal.Is(l.spools[Stderr].file)
}

// Status shows the first of texts, which say the same in fewer and fewer words,
// that fits the terminal's width, or as much of the last one as does. It stays below
// everything that is printed, until another takes its place; without a text there
// is none any more. Where HasStatus is false it does nothing.
func (l *Logs) Status(texts ...string) {
	if l.HasStatus() {
		l.spools[Stderr].setStatus(fitting(texts, l.width()))
	}
}

// width is how many characters a status line may have: a terminal may begin a
// new line behind the last column.
func (l *Logs) width() int {
	if width, _, ok := terminal.Size(l.spools[Stderr].file); ok {
		return width - 1
	}
	return terminal.UsualWidth - 1
}

// fitting returns the first of texts with at most width characters, or the
// beginning of the last one.
func fitting(texts []string, width int) (text string) {
	for _, text = range texts {
		if utf8.RuneCountInString(text) <= width {
			return text
		}
	}
	runes := []rune(text)
	return string(runes[:min(max(0, width), len(runes))])
}

func (s *spool) setStatus(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == text {
		return
	}
	s.status = text
	s.rouse()
}

// wanted is the status that is to be shown.
func (s *spool) wanted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// eraseLine goes to the beginning of the line and erases it (ECMA-48: CR, EL).
const eraseLine = "\r\x1b[K"

// show writes a status in the place of the one that stands there. It is run's; what
// a terminal does not take of it is no loss.
func (s *spool) show(status string) {
	if status == s.shown {
		return
	}
	if s.shown != "" {
		status, s.shown = eraseLine+status, status
	} else {
		s.shown = status
	}
	s.file.WriteString(status)
}
