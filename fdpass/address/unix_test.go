package address

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestListenUnixReplacesOnlyWhatNobodyListensOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error("where somebody listens:", err)
	}
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the file goes with its listener:", err)
	}
	second, err := ListenUnix(path)
	if err != nil {
		t.Fatal("where nobody listens any more:", err)
	}
	second.Close()
}

func TestListenUnixLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path); !errors.Is(err, ErrNoSocket) {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
}
