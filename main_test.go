package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// Imports point one way, downward: each room and what of this module it may
// know, and why not more.
var imports = []struct {
	room    string
	allowed []string
	why     string
}{
	{"fdpass/poll", nil, "it waits for descriptors and knows nothing of them"},
	{"fdpass/procnet", nil, "it asks the kernel and keeps nothing"},
	{"fdpass/address", []string{"fdpass/procnet"}, "it does not know who would listen"},
	{"fdpass/fdtest", nil, "it takes descriptors away in tests"},
	{"fdpass", []string{"fdpass/poll"}, "it moves descriptors and knows no words"},
	{"routing/session", nil, "it reads bytes"},
	{"routing", []string{"routing/session"}, "it decides, and does no I/O"},
	{"routing/front", []string{"routing", "routing/session", "fdpass/poll", "fdpass/address"}, "it does not know how a target delivers"},
	{"workerproto", []string{"fdpass", "fdpass/poll", "routing/session"}, "it neither executes nor accepts"},
	{"workerproto/demo", []string{"workerproto", "fdpass/address"}, "it is a worker like any other"},
	{"workerproto/node", nil, "it holds files"},
	{"workerproto/nodeipc", []string{"workerproto", "fdpass", "fdpass/address", "fdpass/poll"}, "it is another dialect of workerproto; it opens sockets, and neither executes nor accepts"},
	{"supervisor/admin", []string{"supervisor/cli", "supervisor/logs", "supervisor/terminal", "fdpass/address"}, "it is given what it tells"},
	{"supervisor/cli", nil, "it knows no flag"},
	{"supervisor/config", []string{"supervisor/cli", "supervisor/exact"}, "values are plain"},
	{"supervisor/exact", nil, "it is about bytes"},
	{"supervisor/logs", []string{"supervisor/terminal"}, "it writes lines"},
	{"supervisor/systemd", nil, "it is given what it tells"},
	{"supervisor/terminal", nil, "it does not know what is said"},
	{"supervisor/terminal/terminaltest", nil, "it opens terminals for tests"},
	{"supervisor/watch", nil, "it looks at files and does not know why"},
	{"supervisor/upgrade", []string{"supervisor/exact"}, "it does not know what it hands over"},
	{"supervisor/instance", []string{
		"supervisor", "supervisor/admin", "supervisor/config", "supervisor/logs", "supervisor/systemd", "supervisor/terminal", "supervisor/upgrade", "supervisor/watch",
		"routing", "routing/front", "routing/session", "fdpass/poll", "workerproto", "workerproto/node", "workerproto/nodeipc",
	}, "it joins them"},
	{"", []string{"supervisor", "supervisor/admin", "supervisor/config", "supervisor/instance", "supervisor/terminal", "supervisor/upgrade", "workerproto/demo"}, "it is the command line"},
	{"supervisor", []string{"supervisor/exact", "supervisor/logs", "supervisor/upgrade", "workerproto", "workerproto/nodeipc", "fdpass", "fdpass/poll", "fdpass/procnet"}, "it knows no HTTP, session or TCP"},
}

// outside is who may import what from elsewhere.
var outside = map[string][]string{
	"github.com/prometheus/client_golang/prometheus": {"supervisor/admin"},
	"github.com/oklog/run":                           {"supervisor/instance"},
	"github.com/BurntSushi/toml":                     {"supervisor/config"},
	"github.com/coreos/go-systemd/v22/daemon":        {"supervisor/systemd"},
	"golang.org/x/sys/unix":                          {"fdpass", "fdpass/address", "fdpass/fdtest", "fdpass/poll", "fdpass/procnet", "routing/front", "supervisor", "supervisor/admin", "supervisor/logs", "supervisor/terminal", "supervisor/terminal/terminaltest", "supervisor/upgrade", "workerproto/nodeipc"},
}

func TestImportsPointDownward(t *testing.T) {
	const module = "github.com/stickyd/stickyd"
	known := map[string]bool{"scripts/e2e": true}
	for _, rule := range imports {
		known[rule.room] = true
		for _, path := range importsOf(t, "./"+rule.room) {
			room, inside := strings.CutPrefix(path, module+"/")
			if inside && !slices.Contains(rule.allowed, room) {
				t.Errorf("%s imports %s, but %s", rule.room, room, rule.why)
			}
			if users, listed := outside[path]; listed && !slices.Contains(users, rule.room) {
				t.Errorf("%s imports %s, which is for %q only", rule.room, path, users)
			}
		}
	}
	list, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(list)) {
		room := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if !known[room] && !strings.HasPrefix(room, "examples/") && !strings.HasPrefix(room, "scripts/") {
			t.Errorf("package %s has no rule here", room)
		}
	}
}

func importsOf(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Imports", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Imports []string }
	if err := json.Unmarshal(out, &listed); err != nil {
		t.Fatal(err)
	}
	return listed.Imports
}

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
		if got := versionIn(tt.info); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.info, got, tt.want)
		}
		if got := revisionIn(tt.info); got != tt.revision {
			t.Errorf("%+v: revision %q, want %q", tt.info, got, tt.revision)
		}
	}
}

// The linker says nothing if there is no such variable.
func TestReleaseIsWhatTheLinkerIsTold(t *testing.T) {
	program := filepath.Join(t.TempDir(), "stickyd")
	build := exec.Command("go", "build", "-ldflags", "-X main.release=v7.8.9", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "version").Output()
	if err != nil || strings.TrimSpace(string(out)) != "stickyd v7.8.9" {
		t.Errorf("%v: %s", err, out)
	}
}
