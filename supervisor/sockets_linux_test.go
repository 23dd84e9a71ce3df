package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSocketTablesAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		parse      func([]string) (netSocket, bool)
		want       netSocket
		ok         bool
	}{
		{"listening on all addresses", "0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1672 1 0 100 0 0 10 0",
			parseTCP, netSocket{1672, ":8080", true}, true},
		{"established", "1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 99 1 0 100 0 0 10 0",
			parseTCP, netSocket{99, "127.0.0.1:8080", false}, true},
		{"of nobody, TIME_WAIT", "2: 0100007F:1F90 0100007F:C350 06 00000000:00000000 00:00000000 00000000 0 0 0 1 0 100 0 0 10 0",
			parseTCP, netSocket{}, false},
		{"IPv6", "0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0",
			parseTCP, netSocket{7, "[::1]:3000", true}, true},
		{"IPv4 on a socket of IPv6", "0: 0000000000000000FFFF00000100007F:0BB8 0000000000000000FFFF00000100007F:C350 01 0:0 0:0 0 0 0 8 1 0",
			parseTCP, netSocket{8, "127.0.0.1:3000", false}, true},
		{"the heading", "sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode", parseTCP, netSocket{}, false},
		{"Unix, listening", "0000: 00000002 00000000 00010000 0001 01 1234 /run/a b.sock", parseUnix, netSocket{1234, "unix:/run/a b.sock", true}, true},
		{"Unix, accepted", "0000: 00000003 00000000 00000000 0001 03 1235 /run/a.sock", parseUnix, netSocket{1235, "unix:/run/a.sock", false}, true},
		{"Unix, without a name", "0000: 00000003 00000000 00000000 0001 03 1236", parseUnix, netSocket{}, false},
	} {
		if got, ok := tt.parse(strings.Fields(tt.line)); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %+v, %t; want %+v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// accepted opens a listener and returns it with both ends of a connection.
func accepted(t *testing.T, network, addr string) (ln net.Listener, client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if client, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{ln, client, server} {
			c.Close()
		}
	})
	return ln, client, server
}

// Of a connection it is the accepted end that counts, as long as it is open.
func TestClientsAreWhoWasAccepted(t *testing.T) {
	for network, addr := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			ln, client, server := accepted(t, network, addr)
			door := ln.Addr().String()
			if network == "unix" {
				door = "unix:" + door
			}
			ends := func() int {
				clients, _, err := new(clientSockets).look(func(addr string) bool { return addr == door })
				if err != nil {
					t.Fatal(err)
				}
				return len(clients)
			}
			if n := ends(); n != 1 {
				t.Errorf("%d sockets of clients, want the accepted one", n)
			}
			client.(interface{ CloseWrite() error }).CloseWrite()
			if n := ends(); n != 1 {
				t.Errorf("%d when the client has said all and waits for an answer", n)
			}
			server.Close()
			if n := ends(); n != 0 {
				t.Errorf("%d when it is closed", n)
			}
		})
	}
}

func TestOneLookServesAll(t *testing.T) {
	var c clientSockets
	looks := 0
	serves := func(string) bool { looks++; return false }
	accepted(t, "tcp4", "127.0.0.1:0")
	_, first, _ := c.look(serves)
	n := looks
	_, second, _ := c.look(serves)
	if n == 0 || looks != n || !second.Equal(first) {
		t.Errorf("%d addresses were asked for, and then %d, by looks of %v and %v", n, looks, first, second)
	}
}

func TestListenersAreFound(t *testing.T) {
	ln, _, _ := accepted(t, "tcp4", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "s")
	accepted(t, "unix", path)
	got := listensAt(os.Getpid(), nil)
	for _, want := range []string{ln.Addr().String(), "unix:" + path} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	ours, err := socketsOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got := listensAt(os.Getpid(), ours); len(got) > 0 {
		t.Errorf("sockets that we have are a worker's own: %q", got)
	}
}
