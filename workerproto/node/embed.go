// Package node holds the npm package for Node workers, so that stickyd can give
// them its preload where nobody has installed it.
package node

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

//go:embed package.json index.js preload.js lib/*.js
var files embed.FS

// A Copy is the package in a temporary directory: Node loads modules from files
// only.
type Copy struct {
	mu  sync.Mutex
	dir string
}

// Unpack makes a copy. Remove must follow.
func Unpack() (*Copy, error) {
	dir, err := os.MkdirTemp("", "stickyd-node-")
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the preload for Node workers: %w", err)
	}
	c := &Copy{dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // the command may change the user
		c.Remove()
		return nil, fmt.Errorf("cannot unpack the preload for Node workers: %w", err)
	}
	if _, err := c.Preload(); err != nil {
		c.Remove()
		return nil, err
	}
	return c, nil
}

// Preload returns the path of the preload. What is missing is put back: some
// systems remove temporary files that nobody has used for days.
func (c *Copy) Preload() (path string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(c.dir, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return writeIfMissing(to, name)
	})
	if err != nil {
		return "", fmt.Errorf("cannot unpack the preload for Node workers: %w", err)
	}
	return filepath.Join(c.dir, "preload.js"), nil
}

// writeIfMissing gives a file its name when it is whole: a worker may be looking.
func writeIfMissing(to, name string) error {
	content, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	if there, err := os.ReadFile(to); err == nil && bytes.Equal(there, content) {
		return nil
	}
	part := to + ".part"
	if err := os.WriteFile(part, content, 0o644); err != nil {
		return err
	}
	return errors.Join(os.Chmod(part, 0o644), os.Rename(part, to))
}

// Remove removes the copy.
func (c *Copy) Remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	os.RemoveAll(c.dir)
}
