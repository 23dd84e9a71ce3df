package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// AppendVisible appends text of any number of lines to b, with all that a
// terminal would act on written out, as \x1b for the escape character. Of escape
// sequences only colours and the like (SGR, ECMA-48 8.3.117) are left: they are
// what programs print for people, and can do no harm. Where colour is not wanted
// they are taken out, and where a line ends in one the terminal is set back.
//
// Tabs and line ends stay. What is escaped beside control characters (C0, DEL,
// C1) are the characters that change the direction of what follows, by which a
// line can be made to read as another one (https://trojansource.codes), and bytes
// that are no UTF-8. In JSON the result is still JSON.
func AppendVisible(b, text []byte, colour bool) []byte {
	styled := false
	for len(text) > 0 {
		if n := styleLength(text); n > 0 {
			if colour {
				b = append(b, text[:n]...)
				styled = !isReset(text[:n])
			}
			text = text[n:]
			continue
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n':
			b = append(endStyle(b, styled), '\n')
			styled = false
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t':
			b = fmt.Appendf(b, `\x%02x`, text[0])
		case acts(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, text[:size]...)
		}
		text = text[size:]
	}
	return endStyle(b, styled)
}

// Visible is AppendVisible for a text that gets no colours.
func Visible(text string) string { return string(AppendVisible(nil, []byte(text), false)) }

// acts reports whether a character from DEL on makes a terminal do something, or
// changes the direction of others.
func acts(r rune) bool {
	switch {
	case r >= 0x7f && r <= 0x9f: // DEL, C1
	case r == 0x061c, r == 0x200e, r == 0x200f: // marks of direction
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // embeddings, overrides, isolates
	case r == 0x2028, r == 0x2029: // line ends that are none to others
	default:
		return false
	}
	return true
}

// longestStyle is more than any combination of colours takes.
const longestStyle = 64

const reset = "\x1b[0m"

// styleLength returns how long the SGR sequence is that text begins with, 0 for
// none.
func styleLength(text []byte) int {
	if !bytes.HasPrefix(text, []byte("\x1b[")) {
		return 0
	}
	for i := 2; i < len(text) && i < longestStyle; i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case (c < '0' || c > '9') && c != ';' && c != ':':
			return 0
		}
	}
	return 0
}

func isReset(sequence []byte) bool {
	return len(bytes.Trim(sequence[2:len(sequence)-1], "0;")) == 0
}

func endStyle(b []byte, styled bool) []byte {
	if styled {
		b = append(b, reset...)
	}
	return b
}

// Writer returns what text is to be written to for w to get it: w itself, or,
// where that is a terminal, one that makes it visible. It has to get whole lines.
func Writer(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && Is(f) {
		return &visibleWriter{f, Colour(f)}
	}
	return w
}

type visibleWriter struct {
	file   *os.File
	colour bool
}

func (w *visibleWriter) Write(text []byte) (int, error) {
	if _, err := w.file.Write(AppendVisible(nil, text, w.colour)); err != nil {
		return 0, err
	}
	return len(text), nil
}
