//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
)

// figures counts things by name. Its methods may be called from any goroutine.
type figures struct {
	mu     sync.Mutex
	counts map[string]int
}

// The names of what must stand in the table even if it is none.
var always = []string{
	"connections", "requests: plain", "requests: polling", "messages: websocket",
	"errors: refused", "errors: reset", "errors: misrouted",
	"sessions: begun", "sessions: ended by the client",
}

func newFigures() *figures {
	f := &figures{counts: make(map[string]int)}
	for _, name := range always {
		f.counts[name] = 0
	}
	return f
}

func (f *figures) add(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[name]++
}

func (f *figures) of(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[name]
}

func (f *figures) write(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, name := range slices.Sorted(maps.Keys(f.counts)) {
		fmt.Fprintf(table, "%d\t  %s\n", f.counts[name], name)
	}
	table.Flush()
}
