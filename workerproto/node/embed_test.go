package node

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestCopyIsWholeAndHeals(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		path, err := c.Preload()
		if err != nil || path != filepath.Join(c.dir, preloadName) {
			t.Fatal(path, err)
		}
		if got, err := os.ReadFile(path); !bytes.Equal(got, Preload()) {
			t.Errorf("it has %d bytes of %d, %v", len(got), len(Preload()), err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm() != 0o644 {
			t.Error("it is", info.Mode())
		}
	}
	check()
	os.WriteFile(filepath.Join(c.dir, preloadName), []byte("half"), 0o644)
	check()
	os.Remove(filepath.Join(c.dir, preloadName))
	check()
	os.RemoveAll(c.dir)
	check()
	c.Remove()
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Error("after Remove there is", left)
	}
	os.Setenv("TMPDIR", filepath.Join(c.dir, "nowhere"))
	if _, err := Unpack(); err == nil {
		t.Error("unpacked into nothing")
	}
}

// Workers may run as another user than stickyd.
func TestCopyIsForAllUsers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	defer syscall.Umask(syscall.Umask(0o077))
	c, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Remove()
	for name, want := range map[string]os.FileMode{".": 0o755, preloadName: 0o644} {
		if info, err := os.Stat(filepath.Join(c.dir, name)); err != nil || info.Mode().Perm() != want {
			t.Error(name, info.Mode(), err)
		}
	}
}

// In a directory for everybody, who finds the name free may take it.
func TestCopyIsNotReadFromADirectoryOfOthers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Remove()
	away := t.TempDir() // keeps inodes from being used again
	for i, take := range []func(name string) error{
		func(name string) error { return os.Mkdir(name, 0o777) },
		func(name string) error { return os.Symlink(away, name) },
	} {
		old := c.dir
		os.Rename(old, filepath.Join(away, strconv.Itoa(i)))
		if err := take(old); err != nil {
			t.Fatal(err)
		}
		if path, err := c.Preload(); err != nil || filepath.Dir(path) == old {
			t.Error(path, err)
		}
		if _, err := os.Stat(filepath.Join(old, preloadName)); err == nil {
			t.Error("unpacked into it")
		}
	}
}

// The worker may be started somewhere else.
func TestPreloadIsAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	os.Mkdir("tmp", 0o755)
	t.Setenv("TMPDIR", "tmp")
	c, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Remove()
	if path, err := c.Preload(); err != nil || !filepath.IsAbs(path) {
		t.Error(path, err)
	}
}

// All of the package is in the one script, and nothing else is loaded.
func TestPreloadIsOneScript(t *testing.T) {
	script := string(Preload())
	names, _ := filepath.Glob("lib/*.js")
	for _, name := range append(names, "index.js", "preload.js") {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(script, string(text)) {
			t.Error(name, "is not in it", err)
		}
	}
	for _, name := range regexp.MustCompile(`require\('\./([^']+)'\)`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(script, strconv.Quote(filepath.Base(name[1]))+"(module") {
			t.Error("it loads", name[1])
		}
	}
}
