package admin

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	ownPlace(t)
	dir := publicDirectory
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	running := filepath.Join(dir, "running.sock")
	serve(t, running, port3000)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct{ control, metrics, want string }{
		{"auto", "", ""},
		{"off", "", ""},
		{filepath.Join(dir, "new.sock"), "", ""},
		{running, "", ""}, // of the one that is to be reloaded
		{dir + "/nowhere/c.sock", "", "cannot open the control socket " + dir + "/nowhere/c.sock: the directory does not exist"},
		{file, "", "cannot open the control socket " + file + ": a file that is not a socket of this user's is there; choose another path"},
		{file + "/c.sock", "", "cannot open the control socket " + file + "/c.sock: not a directory"},
		{"auto", taken.Addr().String(), ""},
		{"auto", "localhost:9090", ""},
		{"auto", ":9090", ""},
		{"auto", "nowhere.invalid:9090", "cannot serve metrics on nowhere.invalid:9090: host nowhere.invalid: "},
		{"auto", "192.0.2.1:9090", "cannot serve metrics on 192.0.2.1:9090: cannot assign requested address"},
		{"auto", "unix:" + dir + "/nowhere/m.sock", "cannot serve metrics on unix:" + dir + "/nowhere/m.sock: the directory does not exist"},
	} {
		var metrics []string
		if tt.metrics != "" {
			metrics = []string{tt.metrics}
		}
		err := Check(tt.control, metrics)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s %s: %v, want %q", tt.control, tt.metrics, err, tt.want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "file" && e.Name() != "running.sock" {
			t.Error("it made ", e.Name())
		}
	}
}
