package terminal

import (
	"strings"
	"unicode/utf8"
)

// Wrap puts words into lines of at most width characters, but for words that are
// longer. All lines but the first are indented.
func Wrap(words []string, width, indent int) (lines []string) {
	var line strings.Builder
	used := 0 // columns of line
	for i, word := range words {
		long := Width(word)
		switch {
		case i == 0:
		case used+1+long <= width:
			line.WriteByte(' ')
			used++
		default:
			lines = append(lines, line.String())
			line.Reset()
			line.WriteString(strings.Repeat(" ", indent))
			used = indent
		}
		line.WriteString(word)
		used += long
	}
	return append(lines, line.String())
}

// Width is how many columns a text takes, without its colours.
func Width(text string) (columns int) {
	for rest := []byte(text); len(rest) > 0; {
		if n := styleLength(rest); n > 0 {
			rest = rest[n:]
			continue
		}
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		columns++
	}
	return columns
}
