package address

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

func TestPlaceLeavesOutTheHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:80": ":80", ":80": ":80", "[::1]:80": ":80", "localhost:http": ":http", "unix:/a:80": "unix:/a:80", "unix:@a": "unix:@a", "": "",
	} {
		if got := PlaceAt(addr); got != want {
			t.Errorf("%q: %q, want %q", addr, got, want)
		}
	}
}

func TestPlaceOfASocketIsThatOfItsAddress(t *testing.T) {
	for _, tt := range []struct{ network, addr string }{
		{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"unix", filepath.Join(t.TempDir(), "s")},
	} {
		ln, err := net.Listen(tt.network, tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		written := ln.Addr().String()
		if tt.network == "unix" {
			written = "unix:" + written
		}
		if of, at := PlaceOf(ln.Addr()), PlaceAt(written); of != at {
			t.Errorf("%s: %q, and %q as it is written", tt.network, of, at)
		}
		if of, socket := PlaceOf(ln.Addr()), placeOfSocket(t, ln.(syscall.Conn)); of != socket {
			t.Errorf("%s: %q, and %q of the socket", tt.network, of, socket)
		}
	}
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if got := placeOfSocket(t, packets.(syscall.Conn)); got != "" {
		t.Errorf("of UDP: %q", got)
	}
}

func placeOfSocket(t *testing.T, c syscall.Conn) (place string) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { place = PlaceOfSocket(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return place
}
