package front

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Connections outlive the listener at which they were accepted, and the program.
func TestDoorsKnowWhereTheyHaveServed(t *testing.T) {
	path := "unix:" + filepath.Join(t.TempDir(), "s")
	d := serveDoors(t, "127.0.0.1:0", path)
	kept := d.Addrs()[0].String()
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Change(impatient, []string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	next := NewDoors(d.front, nil, slog.New(slog.DiscardHandler))
	next.Remember(d.Places())
	for _, doors := range []*Doors{d, next} {
		for addr, want := range map[string]bool{
			kept: true, "[::1]" + placeAt(kept): true, path: true,
			"127.0.0.1:1": false, path + "2": false, "unix:" + kept: false, "": false,
		} {
			if got := doors.Served(addr); got != want {
				t.Errorf("served at %q: %t", addr, got)
			}
		}
	}
}

func TestSocketsKnowWhereTheyServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct {
		network, addr string
		want          bool
	}{
		{"tcp4", "127.0.0.1:0", true}, {"tcp", ":0", true}, {"unix", path, true},
		{"udp4", "127.0.0.1:0", false}, // nobody is connected there
	} {
		t.Run(tt.network, func(t *testing.T) {
			old, heir := NewSockets(slog.New(slog.DiscardHandler)), NewSockets(slog.New(slog.DiscardHandler))
			fd, release, err := old.Open(tt.network, tt.addr, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			at := localName(t, fd)
			if tt.network == "unix" {
				at = "unix:" + at
			}
			if got := old.Serve(at); got != tt.want {
				t.Errorf("a client at %s: %t", at, got)
			}
			heir.Restore(old.State())
			if got := heir.Serve(at); got != tt.want {
				t.Errorf("a client at %s, for who has taken over: %t", at, got)
			}
			release()
			heir.Settle()
			if heir.Serve(at) {
				t.Error("it is closed")
			}
		})
	}
}
