package instance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/watch"
)

// What the group of run is made of, beside signals and workers.

// accept runs the listeners. Its interrupt closes them and returns when no
// client waits at the door any more.
func (a *app) accept(hurry context.Context) (execute func() error, interrupt func(error)) {
	ended, done := make(chan struct{}), make(chan struct{})
	return func() error {
			go func() {
				defer close(done)
				for {
					select {
					case <-a.places.changed:
						a.settlePlaces()
					case <-ended:
						return
					}
				}
			}()
			return a.doors.Serve()
		}, func(error) {
			close(ended)
			<-done
			if a.goesOn() {
				return
			}
			c := a.config.Load()
			ctx, cancel := context.WithTimeout(hurry, min(c.QueueTimeout, c.DrainTimeout))
			defer cancel()
			a.doors.Stop(ctx)
		}
}

// remembered is for how long it is known of a dead worker's sessions whose they
// were.
const remembered = time.Minute

// sweeper frees the space of dead workers' sessions, some time after they died.
func (a *app) sweeper() (execute func() error, interrupt func(error)) {
	ended := make(chan struct{})
	return func() error {
			var due <-chan time.Time
			for {
				select {
				case <-a.sweep:
					if due == nil {
						due = time.After(remembered)
					}
				case <-due:
					due = nil
					before := time.Now().Add(-remembered)
					a.log.Debug("swept the session table", "entries", a.table.Sweep(before))
					a.dead.forget(before)
					if a.table.Remembers() {
						due = time.After(remembered)
					}
				case <-ended:
					return nil
				}
			}
		}, func(error) {
			close(ended)
		}
}

// A watched is which files the workers are of, as somebody looked at them.
type watched struct {
	Paths []string
	State uint64 // see watch.State
}

// watch restarts the workers when their files change, or have since the app before
// this one restarted them.
func (a *app) watch() (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	if a.before != nil {
		a.watched.Store(a.before.Watched)
	}
	return func() error {
			paths := a.config.Load().Watch
			if len(paths) == 0 {
				<-ctx.Done()
				return nil
			}
			first := a.watched.Load()
			if first == nil || !slices.Equal(first.Paths, paths) {
				first = &watched{paths, watch.State(paths)}
				a.watched.Store(first)
			}
			watch.Files(ctx, paths, first.State, func(now uint64) { a.restartFor(&watched{paths, now}) })
			return nil
		}, func(error) {
			cancel()
		}
}

// restartFor replaces the workers by those of changed files when no operation is
// under way. It does not wait for the old ones to drain: the next change may come
// before. Why an operation fails is in the log, also of a new worker that crashes
// until they have.
func (a *app) restartFor(now *watched) {
	a.log.Info("files have changed, replacing the workers", "watch", now.Paths)
	op, err := a.supervisor.BeginInTurn("rolling restart")
	if err != nil {
		return // stickyd ends, or who goes on sees it, too
	}
	defer op.End()
	a.watched.Store(now)
	wait, err := op.Restart(supervisor.Rollout{MaxUnready: -1}, func(string) {})
	if err == nil {
		a.tasks.Go(func() { wait() })
	}
}

// inform keeps the service manager informed, until the end has begun.
func (a *app) inform() (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	return func() error {
			a.manager.Watch(ctx, a.alive, a.summary)
			return nil
		}, func(error) {
			cancel()
		}
}

// alive reports whether the loop, through which all clients come, goes on, and
// whether the router answers.
func (a *app) alive(soon context.Context) bool {
	a.router.Members()
	return a.loop == nil || a.loop.Turns(soon)
}

// summary is the state in a line.
func (a *app) summary() string {
	all, ready := a.supervisor.Status(), 0
	for _, sl := range all {
		if sl.State == "ready" {
			ready++
		}
	}
	text := fmt.Sprintf("%d of %d workers ready", ready, len(all))
	if now := a.supervisor.Operation(); now != "" {
		text += "; " + now
	}
	return text
}
