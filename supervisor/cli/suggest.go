// Package cli has what command lines have in common: hints at what was meant, and
// letters of flags that are written together. It knows no flag.
package cli

import (
	"fmt"
	"strings"
)

// DidYouMean returns a hint to end a message with, in which the candidate that
// is most like word stands in format; or "" if none is like it.
func DidYouMean(word string, candidates []string, format string) string {
	best := Nearest(word, candidates)
	if best == "" {
		return ""
	}
	return "; did you mean " + fmt.Sprintf(format, best) + "?"
}

// Nearest returns the candidate that word differs from by case and by - or _
// alone, or that one is the beginning of the other, or else by the fewest slips:
// at most one in three letters. It returns "" if there is none.
func Nearest(word string, candidates []string) string {
	const longest = 40 // what is longer is no slip of the finger
	if len(word) > longest {
		return ""
	}
	best, least := "", len(word)/3+1
	for _, candidate := range candidates {
		if len(word) > 2 && (strings.HasPrefix(word, candidate) || strings.HasPrefix(candidate, word)) {
			return candidate
		}
		if d := distance(Plain(word), Plain(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// Plain returns a name without its case and with - for _.
func Plain(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// distance is how many slips lead from a to b: a byte too few, too many or
// wrong, or two swapped.
func distance(a, b string) int {
	d := make([][]int, len(a)+1) // d[i][j] is the distance of a[:i] from b[:j]
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
