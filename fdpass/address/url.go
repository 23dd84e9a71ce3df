package address

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// URL is what a browser on this machine opens to get to who listens on addr, "" for
// a Unix socket.
func URL(addr net.Addr) string {
	if strings.HasPrefix(addr.Network(), "unix") {
		return ""
	}
	hostPort := addr.String()
	if host, port, err := net.SplitHostPort(hostPort); err == nil {
		ip, _ := netip.ParseAddr(host)
		if host == "" || ip.Unmap().IsUnspecified() {
			hostPort = net.JoinHostPort("localhost", port) // "any address" is no place to go to
		}
	}
	return (&url.URL{Scheme: "http", Host: hostPort}).String()
}
