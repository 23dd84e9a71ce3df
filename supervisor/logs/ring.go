package logs

import (
	"crypto/rand"
	"sync"
)

// A Ring keeps the last items of a history for whoever asks later. Items are
// numbered in order, from 1. Who adds never waits for who reads: readers ask for
// what they have not seen, and learn from the numbers what they came too late
// for. Methods may be called from any goroutine.
type Ring[T any] struct {
	most  int // items
	bytes int // of all items, by size; a single item may be larger
	size  func(*T) int

	mu    sync.Mutex
	id    string
	first uint64 // number of items[0], or of the next item if there is none
	items []T
	used  int           // bytes
	grown chan struct{} // closed by the next Add; nil: nobody waits
}

func newRing[T any](most, bytes int, size func(*T) int) *Ring[T] {
	return &Ring[T]{most: most, bytes: bytes, size: size, id: rand.Text(), first: 1}
}

// NewLines returns a ring for lines of text, of at most the given number and
// bytes.
func NewLines(most, bytes int) *Ring[string] {
	return newRing(most, bytes, func(s *string) int { return len(*s) })
}

// Add appends an item, and drops old ones for it if need be.
func (r *Ring[T]) Add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, item)
	r.used += r.size(&item)
	r.trim()
	if r.grown != nil {
		close(r.grown)
		r.grown = nil
	}
}

func (r *Ring[T]) trim() {
	for len(r.items) > 1 && (len(r.items) > r.most || r.used > r.bytes) {
		r.used -= r.size(&r.items[0])
		clear(r.items[:1]) // or what it points to would stay until append moves
		r.items = r.items[1:]
		r.first++
	}
}

// ID tells histories apart: numbers mean something within one of them only.
func (r *Ring[T]) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id
}

// From returns a copy of the items from a number on, at most n of them, and the
// number of the first, or of the one to come next if there is none yet. That
// number is higher than the one asked for where items were dropped in between.
func (r *Ring[T]) From(number uint64, n int) (items []T, first uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = max(number, r.first)
	next := r.first + uint64(len(r.items))
	if first >= next {
		return nil, next
	}
	rest := r.items[first-r.first:]
	return append([]T(nil), rest[:min(n, len(rest))]...), first
}

// Last returns the number from which on the last n items are that are wanted,
// or as many as there are.
func (r *Ring[T]) Last(n int, wanted func(*T) bool) (number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.items)
	for at := i - 1; at >= 0 && n > 0; at-- {
		if wanted(&r.items[at]) {
			i, n = at, n-1
		}
	}
	return r.first + uint64(i)
}

// Grown returns a channel that is closed once there is an item of that number or
// a higher one.
func (r *Ring[T]) Grown(number uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number < r.first+uint64(len(r.items)) {
		there := make(chan struct{})
		close(there)
		return there
	}
	if r.grown == nil {
		r.grown = make(chan struct{})
	}
	return r.grown
}

// A RingState is a history as it was at one time. It can be written as JSON.
type RingState[T any] struct {
	ID    string `json:"id"`
	First uint64 `json:"first"`
	Items []T    `json:"items"`
}

// State returns the history so far.
func (r *Ring[T]) State() RingState[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RingState[T]{ID: r.id, First: r.first, Items: append([]T(nil), r.items...)}
}

// Restore makes the ring go on with a history: what it has itself comes behind
// that, under new numbers. Nobody may have read from it yet.
func (r *Ring[T]) Restore(s RingState[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.ID == "" {
		return // who wrote it kept none, and without a name readers would get all anew each time
	}
	r.id, r.first = s.ID, max(s.First, 1)
	r.items = append(append([]T(nil), s.Items...), r.items...)
	r.used = 0
	for i := range r.items {
		r.used += r.size(&r.items[i])
	}
	r.trim()
}
