//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// versions are lines that say what was measured, and where.
func versions(ctx context.Context) []string {
	lines := []string{
		fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), cpuModel(), kernelRelease()),
		"stickyd at " + firstLine(ctx, "git", "describe", "--always", "--dirty", "--tags") + ", " + runtime.Version(),
		"C loop: " + firstLine(ctx, "cc", "--version"),
		"nginx: " + firstLine(ctx, "nginx", "-v"),
		"HAProxy: " + firstLine(ctx, "haproxy", "-v"),
		"Node " + firstLine(ctx, "node", "--version") + ", " + npmVersions(),
	}
	return lines
}

// firstLine is what a program says first, "absent" if it can't be run.
func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "absent"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of an unknown version"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// npmVersions are those in the lock file.
func npmVersions() string {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	text, err := os.ReadFile(filepath.Join(nodeDir, "package-lock.json"))
	if err == nil {
		err = json.Unmarshal(text, &lock)
	}
	if err != nil {
		return "packages unknown"
	}
	words := []string{"socket.io " + lock.Packages["node_modules/socket.io"].Version}
	for _, s := range stickies {
		words = append(words, "@socket.io/sticky "+lock.Packages["node_modules/"+s.module].Version)
	}
	return strings.Join(words, ", ")
}
