package front

import (
	"container/list"
	"os"
	"time"
)

// waiters bounds the connections that wait, and knows which wait for a head.
type waiters struct {
	crew
	max   int
	heads list.List // of *os.File whose owner waits for a head, the oldest in front
	ended bool      // nobody waits for a head any more
}

func (w *waiters) setMax(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.max = n
}

// start runs task in a goroutine. At the limit the connection that has waited
// longest for its head is given up, so that silent clients don't keep others
// out; if there is none, start returns false.
func (w *waiters) start(task func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= 2*w.max || w.count >= w.max && !w.giveUpOldest() {
		return false // twice: those that were given up are on their way out
	}
	w.run(task)
	return true
}

func (w *waiters) giveUpOldest() bool {
	front := w.heads.Front()
	if front == nil {
		return false
	}
	w.heads.Remove(front).(*os.File).SetReadDeadline(time.Unix(1, 0))
	return true
}

// giveUpHeads ends every wait for a head, now and from now on.
func (w *waiters) giveUpHeads() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for w.giveUpOldest() {
	}
}

// closed reports whether giveUpHeads was called.
func (w *waiters) closed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// enter notes that file's owner waits for a head until the deadline.
func (w *waiters) enter(file *os.File, deadline time.Time) (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		deadline = time.Unix(1, 0)
	}
	file.SetReadDeadline(deadline)
	place := w.heads.PushBack(file)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heads.Remove(place) // does nothing if it was given up
	}
}
