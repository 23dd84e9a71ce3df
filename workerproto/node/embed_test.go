package node

import (
	"bytes"
	"os"
	"path/filepath"
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
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Error("after Remove:", err)
	}
	os.Setenv("TMPDIR", filepath.Join(c.dir, "nowhere"))
	if _, err := Unpack(); err == nil {
		t.Error("unpacked into nothing")
	}
}
