package terminal

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ name, text, want, plain string }{
		{"plain text", "a b\tc é 漢 👩‍👧\n", "a b\tc é 漢 👩‍👧\n", ""},
		{"the title of a window", "\x1b]0;gotcha\a", `\x1b]0;gotcha\x07`, ""},
		{"clearing the screen", "\x1b[2J\x1b[H", `\x1b[2J\x1b[H`, ""},
		{"writing over the beginning of the line", "[1] ok\r[2] no\bx", `[1] ok\x0d[2] no\x08x`, ""},
		{"C1, as UTF-8", "\u009b31m", `\u009b31m`, ""},
		{"C1, as a byte", "\x9b31m\x85", `\x9b31m\x85`, ""},
		{"delete", "\x7f", `\u007f`, ""},
		{"other directions", "a\u202eb\u2066c\u200fd", `a\u202eb\u2066c\u200fd`, ""},
		{"line ends of others", "a\u2028b\vc", `a\u2028b\x0bc`, ""},
		{"a character that is cut", "\xe6\xbc", `\xe6\xbc`, ""},
		{"colour", "\x1b[1;31mred\x1b[0m.", "\x1b[1;31mred\x1b[0m.", "red."},
		{"colour that is left on", "\x1b[31mred", "\x1b[31mred\x1b[0m", "red"},
		{"colour that is left on in a line", "\x1b[38:2::1:2:3mred\nb\x1b[m\n", "\x1b[38:2::1:2:3mred\x1b[0m\nb\x1b[m\n", "red\nb\n"},
		{"a sequence that only begins as colour", "\x1b[31;1H\x1b[31", `\x1b[31;1H\x1b[31`, ""},
		{"a sequence that does not end", "\x1b[" + strings.Repeat("1;", 100) + "m", `\x1b[` + strings.Repeat("1;", 100) + "m", ""},
	} {
		if tt.plain == "" {
			tt.plain = tt.want
		}
		if got := string(AppendVisible(nil, []byte(tt.text), true)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if got := Visible(tt.text); got != tt.plain {
			t.Errorf("%s, without colours: %q, want %q", tt.name, got, tt.plain)
		}
	}
}

// Whatever is printed, a terminal is only written to, and coloured; and what was
// JSON still is, with the same in it.
func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"\x1b[31mred\r\n", "\u009b31m\u202e\x7f", "\x1b]0;title\a\x1b[2J", "\xff\x9b"} {
		f.Add([]byte(seed))
	}
	style := regexp.MustCompile("\x1b\\[[0-9;:]*m")
	f.Fuzz(func(t *testing.T, text []byte) {
		for line := range strings.SplitSeq(string(AppendVisible(nil, text, true)), "\n") {
			styles := style.FindAllString(line, -1)
			if n := len(styles); n > 0 && !isReset([]byte(styles[n-1])) {
				t.Errorf("%q: the terminal keeps %q", line, styles[n-1])
			}
			for _, r := range style.ReplaceAllString(line, "") {
				if r < ' ' && r != '\t' || acts(r) || !utf8.ValidString(line) {
					t.Errorf("%q has %q", line, r)
				}
			}
		}
		quoted, err := json.Marshal(string(text))
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal(quoted, &before) != nil {
			return
		}
		if err := json.Unmarshal(AppendVisible(nil, quoted, true), &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s was JSON: %v", quoted, err)
		}
	})
}

func TestWrap(t *testing.T) {
	const red, end = "\x1b[31m", "\x1b[0m"
	for _, tt := range []struct {
		words string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 10, []string{"one two", "  three"}},
		{"one two three", 7, []string{"one two", "  three"}},
		{"é é é", 5, []string{"é é é"}},
		{red + "one" + end + " two three", 7, []string{red + "one" + end + " two", "  three"}},
		{"a long-word-that-does-not-fit b", 10, []string{"a", "  long-word-that-does-not-fit", "  b"}},
	} {
		if got := Wrap(strings.Split(tt.words, " "), tt.width, 2); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q in %d: %q", tt.words, tt.width, got)
		}
	}
}
