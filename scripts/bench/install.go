//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// binaries are what is built for a run.
type binaries struct{ stickyd, loop string }

// install builds and installs what the plan's fronts need.
func (p *plan) install(ctx context.Context) error {
	if err := command(ctx, "", "go", "build", "-o", p.bin.stickyd, "."); err != nil {
		return fmt.Errorf("cannot build stickyd (run this in its checkout): %w", err)
	}
	if p.has(loopKey) {
		if err := command(ctx, "", "cc", "-O2", "-o", p.bin.loop, "scripts/bench/yardstick/loop.c"); err != nil {
			return fmt.Errorf("cannot build the C loop (it needs a C compiler, cc; or leave it out with --only): %w", err)
		}
	}
	for _, program := range []string{"nginx", "haproxy"} {
		if p.has(program) {
			if err := installed(ctx, program); err != nil {
				return err
			}
		}
	}
	if p.has("node") {
		if err := command(ctx, nodeDir, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
			return fmt.Errorf("cannot install the packages from npm: %w", err)
		}
	}
	return nil
}

// has says whether a front is measured: its key, or node for any with Node.
func (p *plan) has(key string) bool {
	return slices.ContainsFunc(p.fronts(), func(f *front) bool { return f.key == key || key == "node" && f.peer != "" })
}

// installed installs a package of Debian's that has the program.
func installed(ctx context.Context, program string) error {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("%s is not installed; run this as root, or: apt-get install %[1]s; or leave it out with --only", program)
	}
	progress("installing %s", program)
	if err := command(ctx, "", "apt-get", "-qq", "update"); err != nil {
		return err
	}
	if err := keepStopped(ctx, program); err != nil {
		return fmt.Errorf("cannot install %s: %w", program, err)
	}
	return nil
}

// keepStopped installs the package without starting its service, which would
// take a port of the machine.
func keepStopped(ctx context.Context, program string) error {
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return err
		}
		defer os.Remove(policy)
	}
	return command(ctx, "", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "install", "-y", "--no-install-recommends", program)
}

// command runs a program to its end. What it prints is only part of an error.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
