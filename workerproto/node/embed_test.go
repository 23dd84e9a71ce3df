package node

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestCopyIsWholeAndHeals(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pattern := range []string{"*.js", "lib/*.js", "package.json"} {
		found, _ := filepath.Glob(pattern)
		names = append(names, found...)
	}
	check := func() {
		t.Helper()
		path, err := c.Preload()
		if err != nil || path != filepath.Join(c.dir, "preload.js") {
			t.Fatal(path, err)
		}
		for _, name := range names {
			want, _ := os.ReadFile(name)
			if got, err := os.ReadFile(filepath.Join(c.dir, name)); !bytes.Equal(got, want) {
				t.Errorf("%s has %d bytes of %d, %v", name, len(got), len(want), err)
			}
			if info, err := os.Stat(filepath.Join(c.dir, name)); err == nil && info.Mode().Perm() != 0o644 {
				t.Error(name, "is", info.Mode())
			}
		}
	}
	check()
	os.Remove(filepath.Join(c.dir, "preload.js"))
	os.WriteFile(filepath.Join(c.dir, "index.js"), []byte("half"), 0o644)
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
	for name, want := range map[string]os.FileMode{".": 0o755, "lib": 0o755, "preload.js": 0o644, "lib/worker.js": 0o644} {
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
		if _, err := os.Stat(filepath.Join(old, "preload.js")); err == nil {
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
