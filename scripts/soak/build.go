//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are paths.
type programs struct {
	stickyd [2]string // builds that differ in their name only
	worker  string
	bad     []string // that no stickyd can be upgraded to
}

func buildAll(dir string) (p programs, err error) {
	root, err := moduleRoot()
	if err != nil {
		return p, err
	}
	p.worker = filepath.Join(dir, "worker")
	p.stickyd = [2]string{filepath.Join(dir, "stickyd-a"), filepath.Join(dir, "stickyd-b")}
	for _, b := range []struct{ program, dir string }{
		{p.worker, filepath.Join(root, "examples/go-socketio")}, {p.stickyd[0], root}, {p.stickyd[1], root},
	} {
		cmd := exec.Command("go", "build", "-o", b.program, ".")
		cmd.Dir = b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("cannot build %s: %w\n%s", b.dir, err, out)
		}
	}
	for name, b := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"fails-its-check":  {"#!/bin/sh\necho this one refuses >&2\nexit 3\n", 0o755},
		"crashes-at-start": {"#!/bin/sh\nkill -SEGV $$\n", 0o755},
		"says-nothing":     {"#!/bin/sh\nexit 0\n", 0o755},
		"not-executable":   {"#!/bin/sh\nexit 0\n", 0o644},
		"no-program":       {"\x7fELF, or so it seems", 0o755},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(b.text), b.mode); err != nil {
			return p, err
		}
		p.bad = append(p.bad, path)
	}
	p.bad = append(p.bad, filepath.Join(dir, "not-there"))
	return p, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
