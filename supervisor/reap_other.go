//go:build unix && !linux

package supervisor

import (
	"context"
	"log/slog"
	"os/exec"
	"syscall"
)

// A Reaper has nothing to do where orphans are always the system's.
type Reaper struct{}

// NewReaper returns a reaper that does nothing.
func NewReaper(*slog.Logger) *Reaper { return new(Reaper) }

// Run waits for ctx to be done.
func (*Reaper) Run(ctx context.Context) { <-ctx.Done() }

// StartChild is cmd.Start.
func StartChild(cmd *exec.Cmd) error { return cmd.Start() }

type children struct{}

var offspring children

func (children) add(int)                        {}
func (children) leftAlone(int)                  {}
func (children) lastOf(int) *syscall.WaitStatus { return nil }

func (children) startMarked(cmd *exec.Cmd, _ mark) error { return cmd.Start() }

func (children) forget(int) {}

// WaitChild is cmd.Wait.
func WaitChild(cmd *exec.Cmd) error { return cmd.Wait() }
