package address

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]error{
		":80":                           nil,
		"0.0.0.0:80":                    nil,
		"[::]:80":                       nil,
		"localhost:80":                  nil,
		taken.Addr().String():           nil,
		"192.0.2.1:80":                  syscall.EADDRNOTAVAIL,
		"[2001:db8::1]:80":              syscall.EADDRNOTAVAIL,
		"unix:" + dir + "/x.sock":       nil,
		"unix:" + dir + "/no/x.sock":    fs.ErrNotExist,
		"unix:" + file + "/x.sock":      syscall.ENOTDIR,
		"unix:/nowhere-at-all/x/y.sock": fs.ErrNotExist,
	} {
		if err := Check(addr); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", addr, err, want)
		}
	}
	var dns *net.DNSError
	if err := Check("nowhere.invalid:80"); !errors.As(err, &dns) {
		t.Errorf("a host that there is not: %v", err)
	}
	if os.Geteuid() != 0 {
		if err := Check("unix:/root-only.sock"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a directory that is not ours: %v", err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("it made something: %v, %v", entries, err)
	}
}

// Every address of 127.0.0.0/8 is ours, though one alone stands at an interface.
func TestAddressesThatAreRoutedHere(t *testing.T) {
	if _, err := os.Stat("/proc/net"); err != nil {
		t.Skip("needs Linux")
	}
	if err := Check("127.45.6.7:80"); err != nil {
		t.Error(err)
	}
}

// The port is left alone, so that whoever is about to listen there can.
func TestCheckLeavesThePortAlone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	if err := Check(addr); err != nil {
		t.Fatal(err)
	}
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
