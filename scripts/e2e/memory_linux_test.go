package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// delegated makes a cgroup that a test's stickyd may divide. It skips the test
// where the system has no memory controller of version 2 to give.
func delegated(t *testing.T) (dir string) {
	t.Helper()
	const root = "/sys/fs/cgroup"
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.subtree_control"))
	if err != nil || !strings.Contains(string(controllers), "memory") || os.Geteuid() != 0 {
		t.Skipf("no memory to limit here: cgroups of version 2 have %q, %v", controllers, err)
	}
	dir = filepath.Join(root, fmt.Sprint("stickyd-e2e-", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no cgroup can be made here: ", err)
	}
	t.Cleanup(func() {
		os.Remove(filepath.Join(dir, "stickyd-supervisor"))
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestWorkerThatNeedsTooMuchMemoryIsReplacedAndTheCauseKnown(t *testing.T) {
	group := delegated(t)
	args := []string{"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, binary, "--poller", *poller,
		"--listen", "127.0.0.1:0", "--log-format", "json", "--workers", "2", "--worker-memory", "64M", "--"}
	s := launchCommand(t, exec.Command("sh", append(args, worker("app")...)...))
	s.addr = s.await("listening", nil).str("addr")
	s.awaitN(2, "worker ready", nil)
	go s.get("/allocate")
	e := s.await("worker died", nil)
	if want := "signal: killed, out of memory: it may use 64 MiB"; e.str("exit") != want {
		t.Errorf("worker died with %q, want %q", e.str("exit"), want)
	}
	s.awaitN(3, "worker ready", nil)
	left, _ := filepath.Glob(filepath.Join(group, "worker-*"))
	if len(left) != 2 {
		t.Errorf("cgroups %q for two workers", left)
	}
}
