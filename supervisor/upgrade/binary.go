package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// started is where this program was found when it was started: the working
// directory and PATH may change later.
var started, startedErr = lookUp(os.Args[0])

// Binary returns the path of the program to upgrade to. A name without a slash
// is looked up in PATH. No name means the file that this program was started from,
// which may be another by now, or that the last upgrade named.
// (/proc/self/exe would be the old one, and not a symbolic link that has been
// changed.)
func Binary(name string) (path string, err error) {
	if name != "" {
		if path, err = lookUp(name); err != nil {
			return "", fmt.Errorf("cannot find the program to upgrade to: %w; is the path right, and may it be executed?", err)
		}
		return path, nil
	}
	if inherited != nil && inherited.order.Binary != "" {
		return string(inherited.order.Binary), nil
	}
	if startedErr != nil {
		return "", fmt.Errorf("cannot tell where this program was started from: %w; name the program to upgrade to", startedErr)
	}
	return started, nil
}

// lookUp returns an absolute path. Whether there is anything is not checked of
// a path.
func lookUp(name string) (path string, err error) {
	if strings.HasPrefix(name, "/proc/self/") { // what that is changes with the upgrade
		return os.Executable()
	}
	if !strings.Contains(name, "/") {
		if name, err = exec.LookPath(name); err != nil {
			return "", err
		}
	}
	return filepath.Abs(name)
}
