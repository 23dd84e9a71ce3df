package supervisor

import (
	"io"
	"os"
	"os/exec"
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
	if err := s.launch(cmd, &ProcessSettings{}, nil); err != nil {
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
