package front

import (
	"sync/atomic"
	"time"
)

// bounds are the longest waits that a Histogram's buckets count; what is longer
// than the last goes into one more.
var bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// A Histogram counts waits by their length. The zero value has counted none. Its
// methods may be called from any goroutine.
type Histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64 // ns
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// observeNone counts n that did not wait.
func (h *Histogram) observeNone(n int) { h.counts[0].Add(uint64(n)) }

// Snapshot returns the buckets' bounds, each the longest wait that it counts, and
// what each of them alone has counted, with one more for what is longer than all
// bounds; and the sum of all waits. Times are in seconds.
func (h *Histogram) Snapshot() (upTo []float64, counts []uint64, sum float64) {
	for _, d := range bounds {
		upTo = append(upTo, d.Seconds())
	}
	for i := range h.counts {
		counts = append(counts, h.counts[i].Load())
	}
	return upTo, counts, time.Duration(h.sum.Load()).Seconds()
}

// Count returns how many waits there were.
func (h *Histogram) Count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// A HistogramState is what a Histogram has counted.
type HistogramState struct {
	Counts []uint64      `json:"counts"` // by bucket
	Sum    time.Duration `json:"sum"`
}

func (h *Histogram) state() HistogramState {
	_, counts, _ := h.Snapshot()
	return HistogramState{counts, time.Duration(h.sum.Load())}
}

// restore adds what another one has counted; that of a program with other
// buckets is lost.
func (h *Histogram) restore(s HistogramState) {
	if len(s.Counts) != len(h.counts) {
		return
	}
	for i, n := range s.Counts {
		h.counts[i].Add(n)
	}
	h.sum.Add(int64(s.Sum))
}
