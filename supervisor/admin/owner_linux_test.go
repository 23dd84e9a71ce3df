package admin

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// as calls f as a user that files see, whom root's rights do not help.
func as(uid int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with us
		unix.Setfsuid(uid)
		f()
	}()
	<-done
}

func TestOwnerOfWhatCanNotBeSeen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files away")
	}
	ownPlace(t)
	theirs := filepath.Join(publicDirectory, "theirs")
	if err := errors.Join(os.Chmod(publicDirectory, 0o711), os.Mkdir(theirs, 0o700), os.Chown(theirs, strangers, strangers)); err != nil {
		t.Fatal(err)
	}
	as(strangers+1, func() {
		if got := ownerOf(filepath.Join(theirs, "not/seen.sock")); got != "#1234567" {
			t.Errorf("it is %q's", got)
		}
		if err := checkSocket(filepath.Join(theirs, "c.sock")); !errors.Is(err, os.ErrPermission) {
			t.Error("a control socket there:", err)
		}
	})
	// It was this user's, as likely as not: who looks after the directory says nothing.
	if got := ownerOf(filepath.Join(theirs, "gone.sock")); got != "" {
		t.Errorf("what is gone is %q's", got)
	}
}
