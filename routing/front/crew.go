package front

import "sync"

// A crew is goroutines that can be waited for. (A WaitGroup panics if one is added
// beside its Wait.)
type crew struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count is 0, where somebody waits for that
}

// force runs task in a goroutine, limit or no limit.
func (w *crew) force(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.run(task)
}

// run is force while w.mu is held.
func (w *crew) run(task func()) {
	w.count++
	go func() {
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.count--; w.count == 0 && w.idle != nil {
				close(w.idle)
				w.idle = nil
			}
		}()
		task()
	}()
}

// wait returns when there was a moment in which none of them ran.
func (w *crew) wait() {
	w.mu.Lock()
	if w.count == 0 {
		w.mu.Unlock()
		return
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	<-idle
}
