package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindCgroup(t *testing.T) {
	const (
		v2     = "25 24 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		hybrid = "30 24 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
			"31 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		below = "25 24 0:22 /user.slice /mnt/part rw - cgroup2 cgroup2 rw\n"
	)
	for _, tt := range []struct{ name, mounts, membership, want string }{
		{"a service", v2, "0::/system.slice/stickyd.service\n", "/sys/fs/cgroup/system.slice/stickyd.service"},
		{"a container", v2, "0::/\n", "/sys/fs/cgroup"},
		{"beside version 1", hybrid, "4:memory:/one\n0::/two\n", "/sys/fs/cgroup/unified/two"},
		{"version 1 alone", "30 24 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/one\n", ""},
		{"mounted in part", below, "0::/user.slice/a\n", "/mnt/part/a"},
		{"outside of that part", below, "0::/system.slice\n", ""},
		{"outside of the namespace", v2, "0::/../other\n", ""},
		{"mounted twice", below + v2, "0::/system.slice\n", "/sys/fs/cgroup/system.slice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := findCgroup(tt.mounts, tt.membership)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("found %q, %v; want %q", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), "Delegate=yes") {
				t.Error("nothing says what to do:", err)
			}
		})
	}
}

func TestACgroupThatIsNotOursToDivideIsNamed(t *testing.T) {
	without := t.TempDir()
	if _, err := divide(without); err == nil || !strings.Contains(err.Error(), without+" has no memory controller") {
		t.Error(err)
	}
	// A directory has none of the files that the kernel would make in a leaf.
	with := t.TempDir()
	if err := os.WriteFile(filepath.Join(with, "cgroup.controllers"), []byte("cpu memory pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := divide(with); err == nil || !strings.Contains(err.Error(), "Delegate=yes") {
		t.Error(err)
	}
	for _, dir := range []string{without, with} {
		if err := checkDivisible(dir); err == nil || !strings.Contains(err.Error(), "Delegate=yes") {
			t.Error("the check: ", err)
		}
	}
	if _, err := os.Stat(filepath.Join(with, ownLeaf)); err == nil {
		t.Error("it left a leaf")
	}
}

func TestAfterAnExecInPlaceTheCgroupIsDividedAlready(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := divide(filepath.Join(dir, ownLeaf)); got != dir || err != nil {
		t.Error(got, err)
	}
	if err := checkDivisible(filepath.Join(dir, ownLeaf)); err != nil {
		t.Error("the check: ", err)
	}
}

func TestTheCheckOfACgroupChangesNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"cgroup.controllers": "cpu memory\n", "cgroup.procs": "", "cgroup.subtree_control": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkDivisible(dir); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"cgroup.procs", "cgroup.subtree_control"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(text) > 0 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("it made something: %v, %v", entries, err)
	}
}

func TestOOMKills(t *testing.T) {
	for events, want := range map[string]int{
		"": 0,
		"low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n": 0,
		"low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n": 3,
	} {
		if got := oomKills(events); got != want {
			t.Errorf("%d in %q, want %d", got, events, want)
		}
	}
}
