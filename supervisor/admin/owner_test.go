package admin

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// strangers is a user that no database knows.
const strangers = 1234567

func TestOthersSocketsAreNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files away")
	}
	ownPlace(t)
	theirs := filepath.Join(publicDirectory, "stickyd-"+strconv.Itoa(strangers))
	forged := filepath.Join(publicDirectory, "stickyd-1234568") // not that user's own
	for dir, owner := range map[string]int{theirs: strangers, forged: strangers + 2} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	status, _, errs := command("status")
	if status != 1 || !strings.Contains(errs, "no stickyd of yours") || strings.Contains(errs, "1234567") {
		t.Errorf("directories that are left over: exit status %d, %q", status, errs)
	}
	for _, dir := range []string{theirs, forged} {
		ln, err := net.Listen("unix", filepath.Join(dir, "3000-7.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
	if status, _, errs := command("status"); status != 1 || !strings.Contains(errs, "but perhaps one of #1234567: sudo -u '#1234567' stickyd status;") {
		t.Errorf("exit status %d, %q", status, errs)
	}
}

// One that lets us connect, and breaks off since we are nobody whom it answers.
func TestOneThatBreaksOff(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "c.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096)) // or it would be a reset
			c.Close()
		}
	}()
	if status, _, errs := command("status", "--control", path); status != 1 || errs != "stickyd: no answer on the control socket "+path+": EOF\n" {
		t.Errorf("exit status %d, %q", status, errs)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, strangers, strangers); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := command("status", "--control", path); status != 1 ||
		errs != "stickyd: the control socket "+path+" belongs to user #1234567, and only that user and root get an answer there; try sudo -u '#1234567'\n" {
		t.Errorf("another user's: exit status %d, %q", status, errs)
	}
}

// A file that is called as a port hides no stickyd.
func TestControlIsAPortBeforeItIsAFile(t *testing.T) {
	ownPlace(t)
	t.Chdir(publicDirectory)
	if err := os.WriteFile("3000", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := command("status", "--control", "3000"); status != 1 || !strings.Contains(errs, "for the file of that name write ./3000") {
		t.Errorf("exit status %d, %q", status, errs)
	}
	serve(t, "", port3000)
	if status, _, errs := command("status", "--control", "3000"); status != 0 {
		t.Errorf("exit status %d, %q", status, errs)
	}
}
