package admin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// This file keeps the control socket's file there: who cleans up /tmp, or a
// user's directory at logout, would take away every command with it.

// keepPause is the time between two looks at the file.
var keepPause = 3 * time.Second // tests have less of it

// keep looks after the control socket until stop is called.
func (e *Endpoints) keep() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(keepPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				e.lookAfterControl()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// lookAfterControl opens the control socket anew if its file is gone. That this
// fails it says once: it is tried again.
func (e *Endpoints) lookAfterControl() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.control == nil || e.control.present() {
		return
	}
	again, err := e.control.again()
	if err != nil {
		if text := err.Error(); text != e.missed {
			e.missed = text
			e.log.Error("the file of the control socket was removed and cannot be made again yet; trying on", "path", e.control.Path(), "err", err)
		}
		return
	}
	e.missed = ""
	e.control.Close()
	e.control = again
	e.serveControl()
	e.log.Warn("the file of the control socket was removed; it is there again", "path", again.Path())
}

// present reports whether the socket can still be reached at its path.
func (l *Listener) present() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := identify(l.path)
	return err == nil && file == l.file
}

// again returns another listener at l's path or, where that was in a directory of
// ours that can't be had again, in the next one. What others have put there stays.
func (l *Listener) again() (*Listener, error) {
	path := l.Path()
	if l.dir == "" {
		return listen("", path, l.log)
	}
	err := makeOwn(l.dir)
	if err == nil {
		return listen(l.dir, path, l.log)
	}
	dir, otherErr := ownDirectory()
	if otherErr != nil {
		return nil, fmt.Errorf("no place for the control socket: %w", errors.Join(err, otherErr))
	}
	return listen(dir, filepath.Join(dir, filepath.Base(path)), l.log)
}
