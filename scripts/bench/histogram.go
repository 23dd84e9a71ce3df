package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are at most 1/64 wide, so that
// a percentile is right to 1.6 % and counting one allocates nothing.
type histogram struct {
	counts [64 * 64]int64
	total  int64
}

// subBits is the logarithm of how many buckets each power of two has.
const subBits = 6

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
}

// percentile returns the least duration that p percent of all don't exceed, 0
// if there are none.
func (h *histogram) percentile(p float64) time.Duration {
	rank := max(1, int64(float64(h.total)*p/100+0.5))
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return bucketTop(i)
		}
	}
	return 0
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

// bucketTop is the longest duration that falls into a bucket.
func bucketTop(i int) time.Duration {
	if i < 1<<subBits {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	return time.Duration((uint64(i&(1<<subBits-1)+1<<subBits)+1)<<shift - 1)
}
