package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk returns a command that runs stickyd with a log that can't be written
// any more at 64 KiB, until room is called: in a file system of its own, or, where
// none can be mounted, by a limit, which what an upgrade writes is subject to, too.
func smallDisk(t *testing.T, args []string) (cmd *exec.Cmd, log string, room func(), isMounted bool) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	const toLog = `exec "$@" >>"$0" 2>&1`
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	if isMounted = err == nil; isMounted {
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		cmd = exec.Command("sh", "-c", toLog, log, binary)
		room = func() {
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		t.Log("no file system of its own: ", err)
		cmd = exec.Command("sh", "-c", "ulimit -S -f 128; "+toLog, log, binary)
		room = func() {
			var all unix.Rlimit
			err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &all)
			if err == nil {
				all.Cur = all.Max
				err = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, &all, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Args = append(cmd.Args, args...)
	return cmd, log, room, isMounted
}

// A disk that is full for some time costs no line, and cuts none; what comes after
// it is there, too, also after an upgrade.
func TestFullDisk(t *testing.T) {
	const lines = 3000 // some 500 KB
	dir := socketDir(t)
	control := filepath.Join(dir, "control.sock")
	count := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i of many that this worker has to print"; done; exec "$@"`, lines)
	args := append([]string{"-l", "127.0.0.1:0", "-n", "1", "--control", control, "--log-format", "json", "--", "sh", "-c", count, "sh"}, worker("app")...)
	cmd, log, room, isMounted := smallDisk(t, args)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	eventually(t, "a worker that is ready", func() bool {
		status, _ := ask(t, "status", control, "--ready")
		return status == 0
	})
	if status, out := ask(t, "events", control); status != 0 || !strings.Contains(out, `msg="the log cannot be written"`) {
		t.Errorf("events do not tell that the log is not written: %s", out)
	}
	wants := []string{`"msg":"stopped"`}
	if isMounted {
		wants = append(wants, `"msg":"upgraded"`)
		if status, out := ask(t, "upgrade", control); status != 0 {
			t.Errorf("upgrade: exit status %d, %s", status, out)
		}
	}
	text := func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if last := text(); len(last) < 60<<10 || strings.HasSuffix(last, "\n") {
		t.Fatalf("%d bytes are written, and no line is cut: nothing is tested", len(last))
	}
	room()
	eventually(t, "the last line in the log", func() bool { return strings.Contains(text(), fmt.Sprintf(`"line %d of`, lines)) })
	if status, out := ask(t, "stop", control); status != 0 {
		t.Errorf("stop: exit status %d, %s", status, out)
	}
	next, cut := 1, 0
	for line := range strings.Lines(text()) {
		var e struct{ Msg, Line string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			cut++ // by the upgrade, which can't finish it
			continue
		}
		if e.Msg != "worker output" {
			continue
		}
		if want := fmt.Sprintf("line %d of", next); !strings.HasPrefix(e.Line, want) {
			t.Fatalf("%q comes where %q should", e.Line, want)
		}
		next++
	}
	if next != lines+1 || cut > 1 {
		t.Errorf("%d lines are there, of %d, and %d are cut", next-1, lines, cut)
	}
	for _, want := range wants {
		if !strings.Contains(text(), want) {
			t.Errorf("there is no %s", want)
		}
	}
}
