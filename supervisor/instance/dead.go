package instance

import (
	"maps"
	"sync"
	"time"
)

// maxDead bounds the dead workers that are remembered, as the session table does.
const maxDead = 1024

// A deadWorker is what is told of one, beside what the router knows.
type deadWorker struct {
	PID int
	At  time.Time // when it was removed
}

// deadWorkers are those that had sessions, by incarnation, for as long as it is
// known whose these were. The zero value is ready; methods may be called from any
// goroutine.
type deadWorkers struct {
	mu  sync.Mutex
	all map[uint32]deadWorker
}

func (d *deadWorkers) add(incarnation uint32, w deadWorker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = make(map[uint32]deadWorker)
	}
	d.all[incarnation] = w
	if len(d.all) <= maxDead {
		return
	}
	first := incarnation
	for other, w := range d.all {
		if w.At.Before(d.all[first].At) {
			first = other
		}
	}
	delete(d.all, first)
}

// pid returns 0 for one that is not remembered.
func (d *deadWorkers) pid(incarnation uint32) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[incarnation].PID
}

// forget forgets those that died before a time.
func (d *deadWorkers) forget(before time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.all, func(_ uint32, w deadWorker) bool { return w.At.Before(before) })
}

// state returns a copy of all, which restore takes.
func (d *deadWorkers) state() map[uint32]deadWorker {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.all)
}

func (d *deadWorkers) restore(all map[uint32]deadWorker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = all
}
