package routing

import "math/bits"

// Bytes estimates how much memory the table takes, the dead that were not swept
// included. It locks each shard for a moment: asked each second, it costs less
// than a ten-thousandth of a core.
func (t *Table) Bytes() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		most := s.most
		s.mu.Unlock()
		n += shardBytes + mapBytes(most)
	}
	return n
}

const shardBytes = 24

// mapBytes is what a map of a shard takes that never had more entries: maps
// don't shrink. Go's have groups of 8 entries with 8 bytes of control words, a
// power of two of them, and grow when they are 7/8 full; a test compares this
// with the heap.
func mapBytes(entries int) int {
	const group, fewWords, words = 8 + 8*frozenEntry, 48, 112
	switch {
	case entries == 0:
		return 0
	case entries <= 8:
		return group + fewWords
	}
	return words + group/8*(1<<bits.Len(uint((entries*8+6)/7-1)))
}
