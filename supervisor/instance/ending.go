package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor"
)

// This file is what a person who has asked for the end sees of it.

const (
	// endPatience is how long an end may take before anything is said of it.
	endPatience = 250 * time.Millisecond

	// endPause is the time between looks at what is left, and endLogPause that
	// between records in a log in which nothing else has changed.
	endPause    = time.Second
	endLogPause = 10 * time.Second
)

// report says what the end waits for, and for how long at most, until all workers
// have ended, or somebody does not want to wait for that: then hurry is done. It
// begins with the interrupt.
func (a *app) report(hurry context.Context) (execute func() error, interrupt func(error)) {
	begun := make(chan error, 1)
	return func() error {
			if why := <-begun; !a.goesOn() {
				a.reportEnd(hurry, stopNow(why))
			}
			return nil
		}, func(why error) {
			begun <- why
		}
}

// stopNow says how a person ends everything at once. why is what the end has begun
// with.
func stopNow(why error) string {
	var s signalError
	if errors.As(why, &s) && s.Signal == syscall.SIGINT {
		return "press ^C again to stop now"
	}
	return "a signal stops now"
}

func (a *app) reportEnd(hurry context.Context, now string) {
	defer a.log.Status() // there is none any more
	said := endingLog{log: a.log.Logger}
	for pause := endPatience; ; pause = endPause {
		select {
		case <-time.After(pause):
		case <-hurry.Done():
			return
		}
		left := a.remaining()
		switch {
		case left.Workers == 0:
		case a.log.HasStatus():
			a.log.Status(fmt.Sprintf("stopping: %v; %s", left, now), fmt.Sprintf("stopping: %s; %s", left.Short(), now))
		default:
			said.say(left)
		}
	}
}

// remaining is what the end waits for.
func (a *app) remaining() supervisor.Remainder {
	if a.loop != nil { // which hears of connections that were closed
		soon, cancel := context.WithTimeout(context.Background(), endPatience)
		defer cancel()
		a.loop.Turns(soon)
	}
	return a.supervisor.Remaining()
}

// An endingLog is what the log has of an end.
type endingLog struct {
	log     *slog.Logger
	workers int // that were left in the last record
	at      time.Time
}

// say logs what is left where workers have ended since the last record, or that is
// long ago.
func (e *endingLog) say(left supervisor.Remainder) {
	if left.Workers == e.workers && time.Since(e.at) < endLogPause {
		return
	}
	e.workers, e.at = left.Workers, time.Now()
	e.log.Info("stopping: waiting for workers", "workers", left.Workers, "sessions", left.Sessions,
		"open_connections", left.Connections, "at_most", max(0, time.Until(left.Until)).Round(time.Second))
}
