package front

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Check finds, Listen fails with, in the same words.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"127.0.0.1:0":                 "",
		"unix:" + dir + "/a.sock":     "",
		"unix:" + dir + "/no/a.sock":  "the directory does not exist",
		"unix:" + file:                "a file that is no socket is there",
		"unix:" + file + "/a.sock":    "not a directory",
		"192.0.2.1:0":                 "cannot assign requested address",
		"a-host-that-is.invalid:3000": "a-host-that-is.invalid",
	} {
		err := Check(addr)
		if _, missing := os.Lstat(dir + "/a.sock"); missing == nil {
			t.Fatal("it made a socket")
		}
		ln, listenErr := Listen(addr, nil)
		if ln != nil {
			ln.Close()
		}
		if (err == nil) != (listenErr == nil) || (err == nil) != (want == "") {
			t.Errorf("%s: %v, and then %v; want %q", addr, err, listenErr, want)
			continue
		}
		for _, err := range []error{err, listenErr} {
			if err != nil && !(strings.HasPrefix(err.Error(), "cannot listen on "+addr+": ") && strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", addr, err, want)
			}
		}
	}
}

func TestListenerIsAt(t *testing.T) {
	tcp, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	path := filepath.Join(t.TempDir(), "s")
	local, err := Listen("unix:"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for _, tt := range []struct {
		ln   *Listener
		addr string
		want bool
	}{
		{tcp, "127.0.0.1:" + port, true}, {tcp, ":" + port, true}, {tcp, "[::]:" + port, true},
		{tcp, ":1" + port, false}, {tcp, "unix:/x:" + port, false},
		{local, "unix:" + path, true}, {local, "unix:" + path + "2", false}, {local, ":" + port, false},
	} {
		if got := tt.ln.IsAt(tt.addr); got != tt.want {
			t.Errorf("%v is at %s: %t", tt.ln.Addr(), tt.addr, got)
		}
	}
}
