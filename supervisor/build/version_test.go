package build

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "f21a7e3bdb499561bdbceb455995b5d77745e315"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, tt := range []struct {
		info           *debug.BuildInfo
		want, revision string
	}{
		{nil, "(devel)", ""},
		{&debug.BuildInfo{}, "(devel)", ""},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "(devel)", ""},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{commit}}, "v1.2.3", commit.Value},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{commit}}, "devel-f21a7e3bdb49", commit.Value},
		{&debug.BuildInfo{Settings: []debug.BuildSetting{commit, modified}}, "devel-f21a7e3bdb49+dirty", commit.Value + "+dirty"},
	} {
		if got := version(tt.info); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.info, got, tt.want)
		}
		if got := revision(tt.info); got != tt.revision {
			t.Errorf("%+v: revision %q, want %q", tt.info, got, tt.revision)
		}
	}
}

// The linker says nothing if there is no such variable.
func TestReleaseIsWhatTheLinkerIsTold(t *testing.T) {
	program := filepath.Join(t.TempDir(), "stickyd")
	build := exec.Command("go", "build", "-ldflags", "-X github.com/stickyd/stickyd/supervisor/build.Release=v7.8.9", "-o", program, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "version").Output()
	if err != nil || strings.TrimSpace(string(out)) != "stickyd v7.8.9" {
		t.Errorf("%v: %s", err, out)
	}
}
