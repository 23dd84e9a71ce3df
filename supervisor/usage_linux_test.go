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
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "x) S 1 2 3")
	if err := os.Symlink(sleep, odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if resident, cpu, ok := ProcessUsage(cmd.Process.Pid); !ok || resident < 100<<10 || resident > 1<<30 || cpu.Minutes() > 1 {
		t.Errorf("of %s: %d bytes, %v, %v", odd, resident, cpu, ok)
	}
	if _, _, ok := ProcessUsage(1 << 30); ok {
		t.Error("of a process that does not exist")
	}
}
