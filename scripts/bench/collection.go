//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A collection is one of a Go program's garbage.
type collection struct {
	pause time.Duration // the longest time that nothing else ran
	whole time.Duration // from its beginning to its end
}

// tellCollections lets a Go program write a line for each collection.
const tellCollections = "GODEBUG=gctrace=1"

// untold keeps a program's children from doing the same.
func untold(argv ...string) []string { return append([]string{"env", "-u", "GODEBUG"}, argv...) }

// parseCollection reads a line of gctrace (package runtime, "Environment
// Variables"), such as
//
//	gc 7 @0.9s 2%: 0.02+1.3+0.05 ms clock, ...
//
// where of the three times everything stands still in the first and the last.
func parseCollection(line string) (c collection, ok bool) {
	if !strings.HasPrefix(line, "gc ") {
		return c, false
	}
	_, times, _ := strings.Cut(line, ": ")
	times, _, ok = strings.Cut(times, " ms clock")
	if !ok {
		return c, false
	}
	for i, s := range strings.Split(times, "+") {
		ms, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return c, false
		}
		took := time.Duration(ms * float64(time.Millisecond))
		c.whole += took
		if i != 1 {
			c.pause = max(c.pause, took)
		}
	}
	return c, true
}

// collected describes what the front has collected.
func (f *front) collected() string {
	var pause, whole time.Duration
	n := 0
	for _, p := range f.fronts {
		p.mu.Lock()
		for _, c := range p.collections {
			pause, whole = max(pause, c.pause), max(whole, c.whole)
		}
		n += len(p.collections)
		p.mu.Unlock()
	}
	return fmt.Sprintf("%d garbage collections, of which the longest took %.1f ms and stopped it for %.2f ms", n, whole.Seconds()*1e3, pause.Seconds()*1e3)
}
