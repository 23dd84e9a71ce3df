package front

import (
	"context"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing/session"
)

// setSessions changes where doors look for session ids.
func setSessions(t *testing.T, d *Doors, spec string) {
	t.Helper()
	sources, err := session.Parse([]string{spec})
	if err != nil {
		t.Fatal(err)
	}
	config := d.front.settings.Load().Config
	config.Sessions = sources
	d.SetConfig(config)
}

// expectDeferred asks the kernel what it waits for before it lets clients in.
func expectDeferred(t *testing.T, d *Doors, what string, want bool) {
	t.Helper()
	for _, ln := range *d.open.Load() {
		fd, err := ln.fd.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
		ln.fd.Release()
		if err != nil || seconds > 0 != want {
			t.Errorf("%s: at %s clients have %d seconds to say something first, %v", what, ln.Addr(), seconds, err)
		}
	}
}

// The kernel keeps clients that are silent only where what they say is looked at:
// whoever opened the listener, and whenever.
func TestSilentClientsAreKeptOnlyWhereTheyAreListenedTo(t *testing.T) {
	for _, looks := range []bool{true, false} {
		this, other := "query:sid", "none"
		if !looks {
			this, other = other, this
		}
		f, _ := newFront(t)
		d := NewDoors(f, nil, slog.New(slog.DiscardHandler))
		setSessions(t, d, this)
		if err := d.Open([]string{"127.0.0.1:0"}); err != nil {
			t.Fatal(err)
		}
		if err := d.Adopt(foreign(t, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})); err != nil {
			t.Fatal(err)
		}
		expectDeferred(t, d, "opened and adopted", looks)
		setSessions(t, d, other)
		expectDeferred(t, d, "changed", !looks)
		setSessions(t, d, this)
		expectDeferred(t, d, "changed back", looks)
		if err := d.Change(context.Background(), []string{"127.0.0.1:0", "localhost:0"}); err != nil {
			t.Fatal(err)
		}
		expectDeferred(t, d, "opened later", looks)

		go d.Serve()
		doors, err := d.Detach()
		if err != nil {
			t.Fatal(err)
		}
		heir := NewDoors(f, nil, slog.New(slog.DiscardHandler))
		setSessions(t, heir, other)
		for _, door := range doors {
			if err := heir.Restore(door); err != nil {
				t.Fatal(err)
			}
		}
		expectDeferred(t, heir, "restored with another configuration", !looks)
		heir.Close()
	}
}
