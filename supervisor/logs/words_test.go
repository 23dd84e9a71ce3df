package logs

import "testing"

func TestWhatSaysTheSame(t *testing.T) {
	one, other := self{1, 4100}, self{2, 5200}
	for _, tt := range []struct {
		name, line, another string
		want                bool
	}{
		{"the same", "SyntaxError: missing )", "SyntaxError: missing )", true},
		{"another error", "SyntaxError: missing )", "SyntaxError: missing }", false},
		{"another line of the source", "/srv/app.js:12", "/srv/app.js:13", false},
		{"another port", "listen EADDRINUSE :::3000", "listen EADDRINUSE :::3001", false},
		{"another errno", "errno: -98", "errno: -13", false},
		{"more", "at a", "at a b", false},
		{"pids", "(node:4100) Warning", "(node:5200) Warning", true},
		{"pids of children", "[4103] no luck", "[5201] no luck", true},
		{"a pid and another number", "[4100] no luck", "[77] no luck", false},
		{"slots", "worker 1 of 4: no", "worker 2 of 4: no", true},
		{"numbers that one slot has by chance", "app.js:1:10", "app.js:1:10", true},
		{"slots that are each other's", "worker 2: no", "worker 1: no", false},
		{"days and times", "2026/01/02 12:00:01 no", "2026/01/02 12:00:03 no", true},
		{"times of Python", "2026-01-02 12:00:01,123 ERROR no", "2026-01-02 12:00:03,45 ERROR no", true},
		{"RFC 3339", "2026-01-02T12:00:01.123Z no", "2026-01-02T12:00:01.9Z no", true},
		{"milliseconds since 1970", `{"time":1767355201123,"msg":"no"}`, `{"time":1767355209999,"msg":"no"}`, true},
		{"durations", "gave up after 1.52s", "gave up after 897ms", true},
		{"durations in words", "gave up after 12 seconds", "gave up after 9 seconds", true},
		{"clocks that count seconds", "[   12.345678] no", "[   17.000123] no", true},
		{"addresses", "panic: at 0xc000012345 pc=0x46f3a1", "panic: at 0xc00009abcd pc=0x46f3a1", true},
		{"an exit status in hexadecimal", "code 0x1", "code 0x2", false},
		{"hash codes", "java.lang.Object@1b6d3586", "java.lang.Object@4554617c", true},
		{"UUIDs", "run 123e4567-e89b-12d3-a456-426614174000", "run 00000000-e89b-12d3-a456-426614174abc", true},
		{"words of letters that are digits, too", "facade", "decade", false},
		{"long numbers", "id 12345678", "id 12345679", false},
		{"colours", "\x1b[31mno\x1b[0m", "\x1b[32mno\x1b[0m", false},
	} {
		if got := saidOf(tt.line).same(one, saidOf(tt.another), other); got != tt.want {
			t.Errorf("%s: %q and %q: %v", tt.name, tt.line, tt.another, got)
		}
		if got := saidOf(tt.another).same(other, saidOf(tt.line), one); got != tt.want {
			t.Errorf("%s, the other way round: %v", tt.name, got)
		}
	}
}
