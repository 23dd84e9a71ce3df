package procnet

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestSocketTablesAreRead(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, tt := range []struct {
		name, line string
		parse      func([]string) (Socket, bool)
		want       Socket
		ok         bool
	}{
		{"listening on all addresses", "0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1672 1 0 100 0 0 10 0",
			parseTCP, Socket{Inode: 1672, At: at("0.0.0.0:8080"), Listens: true}, true},
		{"established", "1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000 33 0 99 1 0 100 0 0 10 0",
			parseTCP, Socket{Inode: 99, At: at("127.0.0.1:8080"), UID: 33}, true},
		{"of nobody, TIME_WAIT", "2: 0100007F:1F90 0100007F:C350 06 00000000:00000000 00:00000000 00000000 0 0 0 1 0 100 0 0 10 0",
			parseTCP, Socket{}, false},
		{"IPv6", "0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0",
			parseTCP, Socket{Inode: 7, At: at("[::1]:3000"), Listens: true}, true},
		{"IPv4 on a socket of IPv6", "0: 0000000000000000FFFF00000100007F:0BB8 0000000000000000FFFF00000100007F:C350 01 0:0 0:0 0 0 0 8 1 0",
			parseTCP, Socket{Inode: 8, At: at("127.0.0.1:3000")}, true},
		{"the heading", "sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode", parseTCP, Socket{}, false},
		{"Unix, listening", "0000: 00000002 00000000 00010000 0001 01 1234 /run/a b.sock", parseUnix, Socket{Inode: 1234, Path: "/run/a b.sock", Listens: true}, true},
		{"Unix, accepted", "0000: 00000003 00000000 00000000 0001 03 1235 /run/a.sock", parseUnix, Socket{Inode: 1235, Path: "/run/a.sock"}, true},
		{"Unix, without a name", "0000: 00000003 00000000 00000000 0001 03 1236", parseUnix, Socket{}, false},
	} {
		if got, ok := tt.parse(strings.Fields(tt.line)); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %+v, %t; want %+v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestAddressesAreWrittenAsForListening(t *testing.T) {
	for want, s := range map[string]Socket{
		":80":            {At: netip.MustParseAddrPort("[::]:80")},
		":81":            {At: netip.MustParseAddrPort("0.0.0.0:81")},
		"127.0.0.1:80":   {At: netip.MustParseAddrPort("127.0.0.1:80")},
		"[::1]:80":       {At: netip.MustParseAddrPort("[::1]:80")},
		"unix:/run/sock": {Path: "/run/sock"},
	} {
		if got := s.Addr(); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
}

// A listener of this process is in the tables and among what it has open, and not
// among what another one has.
func TestOwnListenerIsFound(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var found []uint64
	err = Each("/proc/self/net", func(s Socket) bool {
		if s.Listens && s.Addr() == ln.Addr().String() {
			found = append(found, s.Inode)
			if s.UID != uint32(os.Getuid()) {
				t.Errorf("it is of user %d", s.UID)
			}
		}
		return true
	})
	ours, ofErr := Of(os.Getpid())
	if err != nil || ofErr != nil || len(found) != 1 || !slices.Contains(ours, found[0]) {
		t.Errorf("%d, and this process has %d: %v, %v", found, ours, err, ofErr)
	}
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if theirs, err := Of(cmd.Process.Pid); err != nil || slices.Contains(theirs, found[0]) {
		t.Errorf("another process has %d: %v", theirs, err)
	}
	stdin.Close()
	cmd.Wait()
	if gone, err := Of(cmd.Process.Pid); err != nil || len(gone) > 0 {
		t.Errorf("one that has ended has %d: %v", gone, err)
	}
}
