//go:build unix && !linux

package poll

import (
	"context"
	"errors"
)

// A Loop exists only on Linux.
type Loop struct{}

// NewLoop returns nil: there is none, and what is given none waits with the
// runtime's poller.
func NewLoop() (*Loop, error) { return nil, nil }

// Run returns at once.
func (*Loop) Run() {}

// Close does nothing.
func (*Loop) Close() {}

// Linger does nothing.
func (*Loop) Linger() {}

// Stir does nothing.
func (*Loop) Stir() {}

// EachTurn never calls f.
func (*Loop) EachTurn(f func() (rest bool)) (stop func()) { return func() {} }

// Turns reports true: there is nothing that might hang.
func (*Loop) Turns(context.Context) bool { return true }

type watch struct{}

func newLooped(int, *Loop, bool) (*watch, error)             { return nil, errors.ErrUnsupported }
func (*watch) onReadable(func() Next) error                  { return errors.ErrUnsupported }
func (*watch) onWritable(context.Context, func() Next) error { return errors.ErrUnsupported }
func (*watch) close() error                                  { return nil }
func (*watch) detach() (int, error)                          { return -1, errors.ErrUnsupported }
