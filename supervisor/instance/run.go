package instance

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/oklog/run"

	"github.com/stickyd/stickyd/supervisor"
)

// run works until it is told to stop, or until it goes on elsewhere from what is
// returned.
func (a *app) run() (*frozen, error) {
	defer a.startReaper()()
	defer a.startLoop()()
	var g run.Group
	// Interrupts come in this order: the door closes before the workers go.
	hurry, hurryNow := context.WithCancel(context.Background())
	defer hurryNow()
	ended := make(chan struct{})
	defer close(ended)
	g.Add(a.awaitSignal(hurryNow, ended))
	g.Add(a.report(hurry))
	g.Add(a.accept(hurry))
	g.Add(a.sweeper())
	g.Add(a.watch())
	g.Add(a.inform())
	g.Add(a.supervise(hurryNow))
	a.endpoints.Start() // to the very end: who looks at how workers drain is not shut out
	a.resume()
	err := g.Run()
	a.tasks.Wait()
	switch {
	case a.frozen != nil:
		a.keepWaiting()
		a.endpoints.Release()
		return a.frozen, nil
	case a.goesOn():
		err = errors.Join(a.lost, a.ended)
	}
	defer a.cleanUp()
	a.front.Stop(hurry, nil) // what the last workers left is answered
	var stopped signalError
	if errors.As(err, &stopped) {
		err = nil
	}
	s := &a.front.Stats
	a.log.Info("stopped", "accepted", s.Accepted.Load(), "handed", s.Handed.Load(), "returned", s.Returned.Load(),
		"rerouted", s.Rerouted.Load(), "refused", s.Refused.Load(), "accept_pauses", s.Pauses.Load(),
		"sessions_bound", a.router.Bound(), "known_ids", s.Known.Load(), "unknown_ids", s.Unknown.Load())
	a.endpoints.Finish(err)
	return nil, err
}

// startReaper runs the reaper until stop is called.
func (a *app) startReaper() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var reaping sync.WaitGroup
	reaping.Go(func() { supervisor.NewReaper(a.log.Logger).Run(ctx) })
	return func() {
		cancel()
		reaping.Wait()
	}
}

// startLoop runs the loop, until stop is called: as long as anybody waits with
// it.
func (a *app) startLoop() (stop func()) {
	if a.loop == nil {
		return func() {}
	}
	if runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2) // the loop keeps one to itself, see poll.Loop
	}
	go a.loop.Run()
	return a.loop.Close
}

// supervise runs the workers. Stop only asks; Run returns once the last one is
// gone, the drain and stop timeouts later at worst.
func (a *app) supervise(hurry func()) (execute func() error, interrupt func(error)) {
	return func() error {
			defer hurry() // there is nobody left to wait for
			a.ended = a.supervisor.Run()
			return a.ended
		}, func(error) {
			if !a.goesOn() {
				a.supervisor.Stop()
			}
		}
}
