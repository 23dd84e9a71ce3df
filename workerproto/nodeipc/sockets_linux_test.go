package nodeipc

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stickyd/stickyd/fdpass/fdtest"
)

func TestSocketsLeaveNothingWithoutDescriptors(t *testing.T) {
	s := NewSockets(slog.New(slog.DiscardHandler))
	for left := range 2 {
		path := filepath.Join(t.TempDir(), "s")
		restore := fdtest.Exhaust(t, left)
		fd, release, err := s.Open("unix", path, 0)
		restore()
		if err == nil {
			release()
			t.Fatalf("opened %d with %d descriptors", fd, left)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("with %d descriptors the path is left behind", left)
		}
		if len(s.open) > 0 {
			t.Error("open:", s.open)
		}
	}
}
