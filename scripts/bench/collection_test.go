//go:build linux

package main

import (
	"testing"
	"time"
)

func TestParseCollection(t *testing.T) {
	for line, want := range map[string]collection{
		"gc 7 @0.918s 2%: 0.026+1.3+0.5 ms clock, 0.05+0.1/0.3/0+1 ms cpu, 4->5->1 MB, 5 MB goal, 0 MB stacks, 0 MB globals, 2 P": {500 * time.Microsecond, 1826 * time.Microsecond},
		"gc 1 @0.0s 0%: 0.2+0+0.1 ms clock, x":        {200 * time.Microsecond, 300 * time.Microsecond},
		`{"msg":"gc 1 @0.0s 0%: 0.2+0+0.1 ms clock"}`: {},
		"gc is late": {},
		"":           {},
	} {
		if got, ok := parseCollection(line); got != want || ok != (want != collection{}) {
			t.Errorf("parseCollection(%q) = %v, %v, want %v", line, got, ok, want)
		}
	}
}
