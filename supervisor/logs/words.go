package logs

import (
	"regexp"
	"strconv"
	"strings"
)

// A said is a line for comparing what processes print: apart from what differs
// from one to the next although it says the same.
type said struct {
	shape   string   // without times, addresses and numbers
	numbers []string // the last, in their order
}

// longestSaid is how long a line is taken apart for comparing, in bytes. What is
// longer is rarely for people.
const longestSaid = 4096

func saidOf(line string) (s said) {
	if len(line) > longestSaid {
		return said{shape: line}
	}
	line = times.ReplaceAllLiteralString(line, "\x00")
	line = hex.ReplaceAllStringFunc(line, func(found string) string {
		if strings.ContainsAny(found, "0123456789") && strings.ContainsAny(found, "abcdefABCDEF") {
			return "\x00"
		}
		return found // a word, or a number
	})
	s.shape = number.ReplaceAllStringFunc(line, func(found string) string {
		s.numbers = append(s.numbers, found)
		return "\x01"
	})
	return s
}

var times = regexp.MustCompile(strings.Join([]string{
	`\d{4}[-/.]\d\d[-/.]\d\d`,                            // a day
	`\d{1,2}:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?`,     // a time of it
	`\b1[5-9]\d{8}(\d{3}|\d{6}|\d{9})?(\.\d+)?\b`,        // seconds since 1970, or parts of them
	`\b(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+\b`,              // a duration
	`\b\d+(\.\d+)? (ms|milliseconds?|seconds?|minutes?)`, // one in words
	`\d+\.\d{6,}`, // a clock that counts microseconds
}, "|"))

// hex matches addresses in memory, UUIDs and the like; and words.
var hex = regexp.MustCompile(`0[xX][0-9a-fA-F]{5,}|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{7,}\b`)

var number = regexp.MustCompile(`0x[0-9a-fA-F]+|\d+`)

// A self is which worker prints.
type self struct{ slot, pid int }

// near is how many processes may have been started between a worker and a child of
// its that prints its own pid.
const near = 32

// What a number may be to a worker that prints it.
const (
	foreign = iota
	itsSlot
	itsPID
)

func (s self) relation(number string) int {
	switch n, err := strconv.Atoi(number); {
	case err != nil:
		return foreign
	case n >= s.pid && n <= s.pid+near:
		return itsPID
	case n == s.slot:
		return itsSlot
	}
	return foreign
}

// same reports whether a line says of the one worker what other says of the other.
func (s said) same(of self, other said, and self) bool {
	if s.shape != other.shape || len(s.numbers) != len(other.numbers) {
		return false
	}
	for i, n := range s.numbers {
		if n == other.numbers[i] {
			continue
		}
		if r := of.relation(n); r == foreign || r != and.relation(other.numbers[i]) {
			return false
		}
	}
	return true
}
