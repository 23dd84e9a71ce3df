package nodeipc

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsGoFromOneToAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct{ network, addr string }{
		{"tcp4", "127.0.0.1:0"}, {"unix", path}, {"udp4", "127.0.0.1:0"},
	} {
		t.Run(tt.network, func(t *testing.T) {
			old, heir := NewSockets(slog.New(slog.DiscardHandler)), NewSockets(slog.New(slog.DiscardHandler))
			fd, release, err := old.Open(tt.network, tt.addr, 0)
			if err != nil {
				t.Fatal(err)
			}
			name := localName(t, fd)
			unix.Close(fd)
			state := old.State()
			release() // the worker's link ends in this program: the socket stays
			if len(state) != 1 || len(old.State()) != 0 {
				t.Fatalf("%+v, and then %+v", state, old.State())
			}
			unix.FcntlInt(uintptr(state[0].FD), unix.F_SETFD, 0) // as for an exec
			heir.Restore(state)
			if flags, _ := unix.FcntlInt(uintptr(state[0].FD), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Error("it is inherited")
			}
			again, err := heir.Reacquire(tt.network, tt.addr, 0)
			if err != nil {
				t.Fatal(err)
			}
			heir.Settle()
			fd, release, err = heir.Open(tt.network, tt.addr, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := localName(t, fd); got != name {
				t.Errorf("it was %s and is %s", name, got)
			}
			unix.Close(fd)
			release()
			if len(heir.open) != 1 {
				t.Error("closed while the first has it")
			}
			again()
			again()
			expectNoSockets(t, heir, path)
		})
	}
}

func expectNoSockets(t *testing.T, s *Sockets, path string) {
	t.Helper()
	if len(s.open) != 0 {
		t.Error("open:", s.open)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the Unix socket's file is still there")
	}
}

func TestSocketsOfWorkersThatAreGoneAreClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, heir := NewSockets(slog.New(slog.DiscardHandler)), NewSockets(slog.New(slog.DiscardHandler))
	fd, _, err := old.Open("unix", path, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	state := throughJSON(t, old.State())
	heir.Restore(state)
	if _, err := heir.Reacquire("unix", path, 1); err == nil {
		t.Error("reacquired what nobody had")
	}
	heir.Settle()
	expectNoSockets(t, heir, path)
	if _, err := unix.FcntlInt(uintptr(state[0].FD), unix.F_GETFD, 0); err != unix.EBADF {
		t.Error("the descriptor is still open:", err)
	}
}

func throughJSON[T any](t testing.TB, v T) (again T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}
