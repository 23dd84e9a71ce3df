package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stickyd/stickyd/fdpass/procnet"
)

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
	ours, err := procnet.Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got := listensAt(os.Getpid(), ours); len(got) > 0 {
		t.Errorf("sockets that we have are a worker's own: %q", got)
	}
}
