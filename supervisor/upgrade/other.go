//go:build !linux

package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

var errLinux = fmt.Errorf("an upgrade in place needs Linux: %w", errors.ErrUnsupported)

// Write returns an error: see the package's comment.
func Write(any, map[string]func(io.Writer) error) (*os.File, error) { return nil, errLinux }

// Start is cmd.Start.
func Start(cmd *exec.Cmd) error { return cmd.Start() }

func (p *Plan) check(context.Context) error { return errLinux }
func (p *Plan) exec() error                 { return errLinux }
func (t *Takeover) giveBack(error) error    { return errLinux }
func (t *Takeover) dropOld()                {}
func closeOnExec() []int                    { return nil }

func heldSignals([]syscall.Signal) []os.Signal { return nil }

func restoreName(string) {}
