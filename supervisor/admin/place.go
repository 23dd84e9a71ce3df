package admin

import (
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

// Where directories of users are: root's, by file-hierarchy(7), and everybody's,
// which is not $TMPDIR, since that differs between services and shells. Tests
// have others.
var (
	systemDirectory = "/run/stickyd"
	publicDirectory = "/tmp"
)

// directories are where a user's sockets may be, the best first.
func directories() []string {
	user := "stickyd-" + strconv.Itoa(os.Geteuid())
	all := []string{filepath.Join(publicDirectory, user)}
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
		return fmt.Errorf("%s is not a directory that only this user may enter (mode 0700)", dir)
	}
	return nil
}

// ownDirectory returns the first of directories that can be used, and makes it
// if need be.
func ownDirectory() (string, error) {
	var errs []error
	for _, dir := range directories() {
		err := makeOwn(dir)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// makeOwn makes a directory that only this user can change, unless there is one.
func makeOwn(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return checkDirectory(dir)
}

// nameFor is what the socket of this process is called, if it listens at addr:
// by the port, for people, and by the process, since the next stickyd may listen
// there while this one still ends. addr is nil as long as it listens nowhere.
func nameFor(addr net.Addr) string {
	listens := "unix"
	switch a := addr.(type) {
	case nil:
		listens = "new"
	case *net.TCPAddr:
		listens = strconv.Itoa(a.Port)
	}
	return listens + "-" + strconv.Itoa(os.Getpid())
}

// An Instance is a stickyd of this user that can be reached.
type Instance struct {
	Name string // PORT-PID, or unix-PID
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
			if probe(path) == live {
				all = append(all, Instance{strings.TrimSuffix(filepath.Base(path), suffix), path})
			}
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// What a path may be.
type finding int

const (
	free    finding = iota // nothing is there, or it can't be seen
	stale                  // a socket of this user's, on which nobody listens any more
	live                   // somebody listens
	foreign                // something else
)

// probe finds out what is at a path. Of the errors of connect(2) only one says
// that nobody listens; the others are as well those of one that is busy, or
// stopped.
func probe(path string) finding {
	info, err := os.Lstat(path)
	if err != nil {
		return free // to bind there fails, and says why
	}
	if info.Mode()&os.ModeSocket == 0 {
		return foreign
	}
	c, err := net.Dial("unix", path)
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case err == nil:
		c.Close()
		return live
	case errors.Is(err, syscall.ECONNREFUSED) && stat != nil && int(stat.Uid) == os.Geteuid():
		return stale
	case errors.Is(err, syscall.EAGAIN):
		return live // its queue is full
	}
	return foreign
}

// find returns the path of the control socket of the stickyd that is meant: by
// that path, by its port, its pid or the name of its socket, in this order, or, if
// control is "", the only one that there is.
func find(control string) (string, error) {
	if strings.ContainsRune(control, '/') {
		return control, nil
	}
	all := Instances()
	meant := slices.DeleteFunc(slices.Clone(all), func(i Instance) bool {
		return control != "" && i.Name != control && !strings.HasPrefix(i.Name, control+"-")
	})
	if len(meant) == 0 {
		meant = ofProcess(control, all)
	}
	switch {
	case len(meant) == 1:
		return meant[0].Path, nil
	case len(meant) > 1:
		return "", fmt.Errorf("several are running: %s; say which with --control %s", names(meant), meant[0].Name)
	case isFile(control):
		return "", fmt.Errorf("--control %s is neither port nor pid of a stickyd; for the file of that name write ./%s", control, control)
	case len(all) > 0:
		return "", fmt.Errorf("no stickyd of yours has the port or pid %s; running are, by port and pid: %s", control, names(all))
	}
	return "", errNoneRuns(otherUsers())
}

// errNoneRuns says how to find one all the same.
func errNoneRuns(others []string) error {
	const elsewhere = "if it was started with --control PATH, add the same here"
	if len(others) == 0 {
		return errors.New("no stickyd of yours is running; if it is another user's: sudo -u USER stickyd status; " + elsewhere)
	}
	return fmt.Errorf("no stickyd of yours is running, but perhaps one of %s: %s stickyd status; %s",
		strings.Join(others, " or "), sudo(others[0]), elsewhere)
}

func isFile(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func names(all []Instance) string {
	var b []string
	for _, i := range all {
		b = append(b, i.Name)
	}
	return strings.Join(b, ", ")
}
