package supervisor

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestLaunchLeavesTheCallersFilesAlone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := [3]*os.File{w, w, w} // as spawn has them
	s := &Supervisor{spec: Spec{Launcher: []string{"/bin/true"}}}
	cmd := exec.Command("/bin/true")
	cmd.ExtraFiles = files[:1]
	if err := s.launch(cmd, &ProcessSettings{}, nil, mark{}); err != nil {
		t.Fatal(err)
	}
	WaitChild(cmd)
	for i, f := range files {
		if f != w {
			t.Errorf("file %d is another now, and nobody closes the one that it was", i)
		}
	}
	w.Close()
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

// Images of servers log to /dev/stdout, which opens the pipe anew.
func TestWorkersOfAnotherUserMayOpenTheirOutput(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("STICKYD_BIN") != "" { // scripts/test runs as root
			t.Fatal("no root here")
		}
		t.Skip("no root here")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := &Supervisor{spec: Spec{Launcher: []string{os.Args[0], "play-launcher"}}}
	cmd := exec.Command("/bin/sh", "-c", "echo out >/dev/stdout; echo err >/dev/stderr")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", w, w
	cmd.ExtraFiles = []*os.File{w} // for the control descriptor
	err = s.launch(cmd, &ProcessSettings{}, &credentials{UID: 4800, GID: 4801, Groups: []int{4801}}, mark{})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	WaitChild(cmd)
	if string(said) != "out\nerr\n" {
		t.Errorf("it said %q, %v", strings.TrimSpace(string(said)), err)
	}
}
