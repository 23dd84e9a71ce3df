package front

import "sync"

// A crew counts goroutines, so that their owner can wait for them. Unlike in a
// WaitGroup, one may be added while somebody waits.
type crew struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count is 0, where somebody waits for that
}

// force runs task in a goroutine, limit or no limit.
func (c *crew) force(task func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run(task)
}

// run is force while c.mu is held.
func (c *crew) run(task func()) {
	c.count++
	go func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.count--; c.count == 0 && c.idle != nil {
				close(c.idle)
				c.idle = nil
			}
		}()
		task()
	}()
}

// wait returns at a moment when none of them runs.
func (c *crew) wait() {
	c.mu.Lock()
	if c.count == 0 {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	<-idle
}
