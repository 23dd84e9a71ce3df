package front

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/stickyd/stickyd/routing/session"
)

// forwardedClient returns the right-most address in the X-Forwarded-For fields
// that is not a trusted proxy's: each proxy appends who it got the request
// from, so what stands left of that is hearsay. If all are trusted it is the
// left-most. The zero Addr if there is none.
func forwardedClient(head *session.Head, trusted []netip.Prefix) (client netip.Addr) {
	var entries []string
	for value := range head.Values("X-Forwarded-For") {
		entries = append(entries, strings.Split(string(value), ",")...)
	}
	for _, entry := range slices.Backward(entries) {
		a, ok := parseForwarded(strings.TrimSpace(entry))
		if !ok {
			return client // what is left of nonsense is no better
		}
		client = a
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return client
		}
	}
	return client
}

// parseForwarded reads an address, which some proxies write with a port.
func parseForwarded(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
