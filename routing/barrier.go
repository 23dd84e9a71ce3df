package routing

import "sync"

// A barrier runs sync for those who pass, all who come during one run sharing
// the next.
type barrier struct {
	sync func()

	mu      sync.Mutex
	changed *sync.Cond
	running bool
	started uint64 // runs begun
	done    uint64 // the last run that has ended
}

func newBarrier(syncAll func()) *barrier {
	b := &barrier{sync: syncAll}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// pass returns after a whole run of sync that began after the call of pass.
func (b *barrier) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for want := b.started + 1; b.done < want; {
		if b.running {
			b.changed.Wait()
			continue
		}
		b.running = true
		b.started++
		b.mu.Unlock()
		b.sync()
		b.mu.Lock()
		b.running = false
		b.done = b.started
		b.changed.Broadcast()
	}
}
