// Package watch notices that files change, for development.
//
// It looks at them every half second rather than ask the kernel (inotify(7)):
// that sees directories one by one and not what is mounted from elsewhere, as
// where an editor runs outside of a container.
package watch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pause is the time between two looks.
const pause = 500 * time.Millisecond

// Check returns the errors of paths that are not there: Files would wait for them
// for ever.
func Check(paths []string) error {
	var errs []error
	for _, path := range paths {
		var wrong *fs.PathError
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cannot watch %s: there is no such file or directory", path))
		} else if errors.As(err, &wrong) {
			errs = append(errs, fmt.Errorf("cannot watch %s: %w", path, wrong.Err))
		}
	}
	return errors.Join(errs...)
}

// Files calls changed, and waits for it, each time that something has changed
// below paths and then nothing any more for a moment; until ctx is done. It begins
// with what was there when State returned from, and gives changed what State
// returns by then. What begins with a dot, and node_modules, is not looked at,
// unless it is one of paths. Symbolic links are followed where one of paths is one,
// and not below. What can't be read counts as not there.
func Files(ctx context.Context, paths []string, from uint64, changed func(now uint64)) {
	files(ctx, paths, from, pause, changed)
}

func files(ctx context.Context, paths []string, from uint64, pause time.Duration, changed func(now uint64)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	told, last := from, from
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := State(paths)
		if now == last && now != told {
			told = now
			changed(now)
		}
		last = now
	}
}

// State is another number when a file that Files looks at is there or not, has
// another name, size or time of change.
func State(paths []string) uint64 {
	h := fnv.New64a()
	for _, root := range paths {
		if file, err := filepath.EvalSymlinks(root); err == nil {
			root = file // WalkDir would look at the link only
		}
		filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went away meanwhile
			}
			if path != root && ignored(entry.Name()) {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if entry.IsDir() {
				return nil // its time changes with what is ignored in it as well
			}
			if info, err := entry.Info(); err == nil {
				h.Write([]byte(path))
				h.Write([]byte(info.ModTime().String()))
				h.Write([]byte{0, byte(info.Size()), byte(info.Size() >> 8), byte(info.Size() >> 16), byte(info.Size() >> 24)})
			}
			return nil
		})
	}
	return h.Sum64()
}

func ignored(name string) bool { return strings.HasPrefix(name, ".") || name == "node_modules" }
