package supervisor

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// As root, these settings are anybody else's mistakes.
func TestCheckOfWhatOnlyRootMay(t *testing.T) {
	if os.Getenv("CHECK_AS_NOBODY") == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root, to be somebody else who can run this")
		}
		for _, s := range []ProcessSettings{{}, {Nice: 5}, {OpenFiles: 64}} {
			if err := s.Check(); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
		}
		runtime.LockOSThread() // which has the niceness that is tried
		defer runtime.UnlockOSThread()
		before := ownNiceness()
		if err := (&ProcessSettings{Nice: -1}).Check(); ownNiceness() != before { // root in a container may not, either
			t.Errorf("the niceness is another now, after: %v", err)
		}
		asNobody(t)
		return
	}
	for _, tt := range []struct {
		settings ProcessSettings
		want     string
	}{
		{ProcessSettings{}, ""},
		{ProcessSettings{Nice: 5}, ""},
		{ProcessSettings{OpenFiles: 64}, ""},
		{ProcessSettings{Nice: -5}, "CAP_SYS_NICE"},
		{ProcessSettings{OpenFiles: math.MaxInt}, "which only root may exceed"},
	} {
		err := tt.settings.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.settings, err, tt.want)
		}
	}
}

// asNobody runs the test again as a user that may nothing.
func asNobody(t *testing.T) {
	t.Helper()
	program, err := os.Open(os.Args[0]) // where it lies, only we may look
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "CHECK_AS_NOBODY=1")
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{program}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
