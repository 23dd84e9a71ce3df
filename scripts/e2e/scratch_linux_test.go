package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// An image with a static binary and nothing else has no user database, and
// numbers need none.
func TestUserByNumberWithoutADatabase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for chroot")
	}
	root := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(root, "stickyd"), "../..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check := exec.Command("/stickyd", "--check", "--user", "1000", "--group", "1000", "--control", "off", "--", "/stickyd")
	check.Dir, check.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: root}
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
