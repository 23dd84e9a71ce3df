package address

import (
	"net"
	"testing"
)

func TestURL(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr net.Addr
		want string
	}{
		{"loopback", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3000}, "http://127.0.0.1:3000"},
		{"any IPv4 address", &net.TCPAddr{IP: net.IPv4zero, Port: 3000}, "http://localhost:3000"},
		{"any address", &net.TCPAddr{IP: net.IPv6unspecified, Port: 80}, "http://localhost:80"},
		{"any address, unnamed", &net.TCPAddr{Port: 3000}, "http://localhost:3000"},
		{"IPv6 with a zone", &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 3000}, "http://[fe80::1%25eth0]:3000"},
		{"Unix socket", &net.UnixAddr{Net: "unix", Name: "/run/s.sock"}, ""},
	} {
		if got := URL(tt.addr); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
