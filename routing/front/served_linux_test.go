package front

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stickyd/stickyd/fdpass/address"
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
			kept: true, "[::1]" + address.PlaceAt(kept): true, path: true,
			"127.0.0.1:1": false, path + "2": false, "unix:" + kept: false, "": false,
		} {
			if got := doors.Served(addr); got != want {
				t.Errorf("served at %q: %t", addr, got)
			}
		}
	}
}
