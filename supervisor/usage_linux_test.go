package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestProcessUsage(t *testing.T) {
	if resident, cpu, ok := ProcessUsage(os.Getpid()); !ok || resident < 1<<20 || cpu < 0 {
		t.Errorf("of ourselves: %d bytes, %v, %v", resident, cpu, ok)
	}
	// A name may look like the rest of the line.
	odd := filepath.Join(t.TempDir(), "x) S 1 2 3")
	if err := os.Symlink("/bin/sh", odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "-c", "echo; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()          // ends it
	out.Read(make([]byte, 1)) // it runs
	if resident, cpu, ok := ProcessUsage(cmd.Process.Pid); !ok || resident < 100<<10 || resident > 1<<30 || cpu.Minutes() > 1 {
		t.Errorf("of %s: %d bytes, %v, %v", odd, resident, cpu, ok)
	}
	if _, _, ok := ProcessUsage(1 << 30); ok {
		t.Error("of a process that does not exist")
	}
}
