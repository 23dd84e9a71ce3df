package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const suffix = ".sock"

// systemDirectory is root's (file-hierarchy(7)). Tests have another.
var systemDirectory = "/run/stickyd"

// directories are where a user's sockets may be, the best first.
func directories() []string {
	user := "stickyd-" + strconv.Itoa(os.Geteuid())
	all := []string{filepath.Join(os.TempDir(), user)}
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" {
		all = append([]string{filepath.Join(run, "stickyd")}, all...)
	}
	if os.Geteuid() == 0 {
		all = append([]string{systemDirectory}, all...)
	}
	return all
}

// checkDirectory returns an error unless dir is a directory that nobody but
// this user can change: /tmp is everybody's.
func checkDirectory(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of this user alone (mode 0700)", dir)
	}
	return nil
}

// ownDirectory returns the first of directories that can be used, and makes it
// if need be.
func ownDirectory() (string, error) {
	var errs []error
	for _, dir := range directories() {
		err := os.Mkdir(dir, 0o700)
		if err == nil || errors.Is(err, os.ErrExist) {
			err = checkDirectory(dir)
		}
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// nameFor is what the socket of a stickyd that listens at addr is called: by
// its port, since two can't share that as a rule.
func nameFor(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return strconv.Itoa(tcp.Port)
	}
	return "unix-" + strings.Trim(strings.ReplaceAll(addr.String(), "/", "-"), "-")
}

// An Instance is a stickyd of this user that can be reached.
type Instance struct {
	Name string // its port, as a rule
	Path string // of its control socket
}

// Instances returns those that are running, by name.
func Instances() (all []Instance) {
	for _, dir := range directories() {
		if checkDirectory(dir) != nil {
			continue
		}
		paths, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		for _, path := range paths {
			if answers(path) {
				all = append(all, Instance{strings.TrimSuffix(filepath.Base(path), suffix), path})
			}
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// answers reports whether somebody listens on a Unix socket.
func answers(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// find returns the path of the one instance that is meant: by a path, by the
// name of one, or, with neither, the only one that there is.
func find(control string) (string, error) {
	if strings.ContainsRune(control, '/') {
		return control, nil
	}
	all := Instances()
	var names []string
	for _, i := range all {
		if i.Name == control {
			return i.Path, nil
		}
		names = append(names, i.Name)
	}
	switch {
	case len(all) == 0:
		return "", fmt.Errorf("no stickyd of this user is running; looked in %s", strings.Join(directories(), " and "))
	case control != "":
		return "", fmt.Errorf("no stickyd of this user is at %s; there are: %s", control, strings.Join(names, ", "))
	case len(all) > 1:
		return "", fmt.Errorf("several are running: %s; say which with --control %s", strings.Join(names, ", "), cmp.Or(names[0], "PORT"))
	}
	return all[0].Path, nil
}
