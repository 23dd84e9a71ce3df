package front

import (
	"slices"

	"github.com/stickyd/stickyd/fdpass/address"
)

// Served reports whether clients connect to addr, or have connected there to a
// listener that is closed by now: their connections outlive it.
func (d *Doors) Served(addr string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.places, address.PlaceAt(addr))
}

// Places returns what Served knows, for Remember.
func (d *Doors) Places() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.places)
}

// Remember lets Served know what Places returned in another program.
func (d *Doors) Remember(places []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, place := range places {
		if !slices.Contains(d.places, place) {
			d.places = append(d.places, place)
		}
	}
}
