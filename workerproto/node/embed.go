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
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

//go:embed index.js preload.js lib/*.js
var files embed.FS

// preloadName is the file's: one that is CommonJS whatever package.json says.
const preloadName = "preload.cjs"

// Preload returns the preload as one script: under Node's permission model a file
// may be allowed that is to be loaded first, and none that it loads.
func Preload() []byte {
	var b bytes.Buffer
	b.WriteString("'use strict';\n// Made of stickyd's package for Node workers. See its workerproto/node.\n" +
		"process.send && ((outer) => {\nconst modules = {\n")
	fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, _ error) error {
		if !entry.IsDir() {
			content, _ := files.ReadFile(name) // it is there
			module := strings.TrimSuffix(path.Base(name), ".js")
			fmt.Fprintf(&b, "%q(module, exports, require) {\n%s\n},\n", module, content)
		}
		return nil
	})
	b.WriteString(`};
const loaded = {};
function require(name) {
  if (!name.startsWith('.')) return outer(name);
  name = name.split('/').pop();
  if (!loaded[name]) {
    const module = loaded[name] = { exports: {} };
    modules[name](module, module.exports, require);
  }
  return loaded[name].exports;
}
require.cache = outer.cache;
require('./preload');
})(require);
`)
	return b.Bytes()
}

// A Copy is the preload in a temporary directory: Node loads scripts from files
// only.
type Copy struct {
	mu   sync.Mutex
	dir  string      // "" for none
	made fs.FileInfo // of dir
}

// Unpack makes a copy. Remove must follow.
func Unpack() (*Copy, error) {
	c := &Copy{}
	if _, err := c.Preload(); err != nil {
		c.Remove()
		return nil, err
	}
	return c, nil
}

// Dir returns where it is, for Reuse.
func (c *Copy) Dir() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dir
}

// Reuse makes a copy of what another one, which nobody removes, has left in dir:
// workers have that in their environment. Remove must follow.
func Reuse(dir string) *Copy {
	c := &Copy{dir: dir}
	if there, err := os.Lstat(dir); err == nil && there.IsDir() && owner(there) == os.Geteuid() {
		c.made = there
	} else {
		c.dir = ""
	}
	return c
}

// Preload returns the absolute path of the preload. What is missing is put
// back: some systems remove temporary files that nobody has used for days.
func (c *Copy) Preload() (path string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unpack(); err != nil {
		return "", fmt.Errorf("cannot unpack the preload for Node workers: %w", err)
	}
	return filepath.Join(c.dir, preloadName), nil
}

func (c *Copy) unpack() error {
	if !c.isOurs() {
		if err := c.makeDir(); err != nil {
			return err
		}
	}
	return writeIfMissing(filepath.Join(c.dir, preloadName), Preload())
}

// isOurs says whether the directory is the one that was made. Once that is
// gone, anybody may have made another of its name, to have the workers run what
// is in there.
func (c *Copy) isOurs() bool {
	if c.dir == "" {
		return false
	}
	there, err := os.Lstat(c.dir)
	return err == nil && os.SameFile(there, c.made) && there.Mode() == c.made.Mode() && owner(there) == os.Geteuid()
}

// owner is the user id of a file's, -1 if there is none: another file may have
// got the same inode.
func owner(f fs.FileInfo) int {
	if stat, ok := f.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// makeDir makes the directory, under the name that it had if that is free:
// workers have it in their environment.
func (c *Copy) makeDir() (err error) {
	if c.dir == "" || os.Mkdir(c.dir, 0o700) != nil {
		tmp, err := filepath.Abs(os.TempDir()) // workers may be somewhere else
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp(tmp, "stickyd-node-")
		if err != nil {
			return err
		}
		c.dir = dir
	}
	if err := os.Chmod(c.dir, 0o755); err != nil { // the command may change the user
		return errors.Join(err, os.Remove(c.dir))
	}
	c.made, err = os.Lstat(c.dir)
	return err
}

// writeIfMissing gives a file its name when it is whole: a worker may be looking.
func writeIfMissing(to string, content []byte) error {
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
	if c.isOurs() {
		os.RemoveAll(c.dir)
	}
}
