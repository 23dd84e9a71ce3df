package nodeipc

import (
	"errors"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWorkersWithFewerRightsDoNotBorrowOurs(t *testing.T) {
	s := NewSockets(slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		network, addr string
		refused       bool
	}{
		{"tcp4", "127.0.0.1:0", false},
		{"tcp6", "[::1]:1023", true},
		{"tcp4", "127.0.0.1:22", true},
		{"udp4", "127.0.0.1:53", true},
		{"udp4", "127.0.0.1:0", false},
		{"tcp4", "127.0.0.1:http", true},
		{"tcp4", "nonsense", true},
		{"unix", filepath.Join(t.TempDir(), "a"), true},
	} {
		fd, release, err := s.OpenUnprivileged(tt.network, tt.addr, 0)
		if errors.Is(err, syscall.EACCES) != tt.refused {
			t.Errorf("%s %s: %v, refused %v", tt.network, tt.addr, err, tt.refused)
		}
		if err == nil {
			syscall.Close(fd)
			release()
		}
	}
}
