package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// write puts text into a file named stickyd.toml and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stickyd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load is Load for arguments that must be fine.
func load(t *testing.T, args ...string) *Config {
	t.Helper()
	c, _, err := Load(args)
	if err != nil {
		t.Fatalf("Load(%q): %v", args, err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	want := &Config{
		Listen:          []string{":3000"},
		ListenByDefault: true,
		Workers:         runtime.GOMAXPROCS(0),
		Balance:         "least-connection",
		Session:         []string{"query:sid"},
		Protocol:        "auto",
		Serialization:   "advanced",
		NodePreload:     "auto",
		Window:          64,
		HeadTimeout:     10 * time.Second,
		HeadBytes:       16384,
		QueueTimeout:    10 * time.Second,
		ParkTimeout:     150 * time.Millisecond,
		MaxWaiting:      4096,
		Poller:          "auto",
		StartTimeout:    time.Minute,
		HangTimeout:     30 * time.Second,
		DumpSignal:      "QUIT",
		DumpGrace:       2 * time.Second,
		DrainTimeout:    30 * time.Second,
		StopTimeout:     10 * time.Second,
		MinReady:        2 * time.Second,
		Parallel:        1,
		MaxDraining:     4,
		OnCrashLoop:     "exit",
		Control:         "auto",
		Command:         []string{"./myserver"},
		LogFormat:       "auto",
		LogLevel:        "info",
	}
	if got := load(t, "--", "./myserver"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// sample is a value that is not the default, as a flag and as the file has it.
type sample struct{ flag, file string }

var samples = map[string]sample{
	"listen":              {"unix:/run/s.sock", `["unix:/run/s.sock"]`},
	"workers":             {"1023", `1023`},
	"balance":             {"random", `"random"`},
	"session":             {"header:Mcp-Session-Id", `["header:Mcp-Session-Id"]`},
	"trusted-proxy":       {"10.0.0.0/8", `["10.0.0.0/8"]`},
	"protocol":            {"node", `"node"`},
	"serialization":       {"json", `"json"`},
	"node-preload":        {"on", `"on"`},
	"wait-ready":          {"true", `true`},
	"window":              {"65", `65`},
	"head-timeout":        {"11s", `"11s"`},
	"head-bytes":          {"2048", `2_048`},
	"park-timeout":        {"1s", `"1s"`},
	"queue-timeout":       {"1m", `"1m"`},
	"max-waiting":         {"16", `16`},
	"poller":              {"runtime", `"runtime"`},
	"user":                {"65534", `65534`},
	"group":               {"nogroup", `"nogroup"`},
	"worker-nofile":       {"1024", `1024`},
	"worker-nice":         {"-1", `-1`},
	"worker-memory":       {"512M", `"512M"`},
	"start-timeout":       {"61s", `"61s"`},
	"hang-timeout":        {"0", `"0"`},
	"dump-signal":         {"none", `"none"`},
	"dump-grace":          {"0s", `"0s"`},
	"drain-timeout":       {"24h", `"24h"`},
	"stop-timeout":        {"1h", `"1h"`},
	"min-ready":           {"1h", `"1h"`},
	"parallel":            {"1024", `1024`},
	"max-unready":         {"1024", `1024`},
	"max-draining":        {"1024", `1024`},
	"recycle-age":         {"1h", `"1h"`},
	"recycle-connections": {"1000", `1000`},
	"recycle-memory":      {"512M", `"512M"`},
	"watch":               {"./src", `["./src"]`},
	"on-crash-loop":       {"keep", `"keep"`},
	"env":                 {"A=1", `{ A = "1" }`},
	"command":             {"", `["node", "server.js"]`},
	"control":             {"./control.sock", `"./control.sock"`},
	"metrics":             {"127.0.0.1:9090", `["127.0.0.1:9090"]`},
	"log-format":          {"json", `"json"`},
	"log-level":           {"debug", `"debug"`},
}

func TestEveryOptionCanBeSetByFlagAndByFile(t *testing.T) {
	base := load(t, "--", "x")
	for _, o := range options {
		if o.place == flagOnly {
			continue
		}
		s, ok := samples[o.name]
		if !ok {
			t.Errorf("%s has no sample", o.name)
			continue
		}
		args := []string{"--config", write(t, o.key()+" = "+s.file)}
		if o.place != fileOnly {
			args = append(args, "--", "x")
		}
		file := load(t, args...)
		file.File = ""
		if reflect.DeepEqual(file, base) {
			t.Errorf("%s = %s in the file changes nothing", o.key(), s.file)
		}
		if o.place == fileOnly {
			continue
		}
		if flag := load(t, "--"+o.name+"="+s.flag, "--", "x"); !reflect.DeepEqual(flag, file) {
			t.Errorf("%s: the flag gives %+v, the file %+v", o.name, flag, file)
		}
	}
}

func TestValuesBecomeWhatTheyMean(t *testing.T) {
	c := load(t, "--workers=auto", "--dump-signal", "none", "--hang-timeout", "0s",
		"--trusted-proxy", "10.1.2.3/8", "--trusted-proxy", "::1", "--trusted-proxy", "::ffff:192.0.2.1", "./x")
	if c.Workers != runtime.GOMAXPROCS(0) {
		t.Errorf("auto workers = %d, want %d", c.Workers, runtime.GOMAXPROCS(0))
	}
	if c.DumpSignal != "" || c.HangTimeout != 0 {
		t.Errorf("none and 0s give %q and %v", c.DumpSignal, c.HangTimeout)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.1/32")}
	if !slices.Equal(c.TrustedProxies, want) {
		t.Errorf("trusted proxies = %v, want %v", c.TrustedProxies, want)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, `
listen = [":1", ":2"]
window = 10
command = ["from", "file"]
session = "none"
[env]
BOTH = "file"
A = "file"
A0 = "file"
`)
	c := load(t, "--listen", ":3", "--env", "BOTH=flag", "--config", file, "-l", ":4", "--env", "B=flag")
	checks := []struct {
		name      string
		got, want any
	}{
		{"flags replace the file's list, in their order", c.Listen, []string{":3", ":4"}},
		{"the file wins over the default", c.Window, 10},
		{"the file's list replaces the default's", c.Session, []string{"none"}},
		{"the default stands if nobody sets it", c.HeadBytes, 16384},
		{"the file's command runs if none is on the line", []string(c.Command), []string{"from", "file"}},
		{"variables are merged, flags win, sorted by name", []string(c.Env),
			[]string{"A=file", "A0=file", "B=flag", "BOTH=flag"}},
		{"the file that was read is named", c.File, file},
	}
	for _, tt := range checks {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if c := load(t, "--config", file, "--window", "20", "--window", "30"); c.Window != 30 {
		t.Errorf("the last flag of two does not win: window = %d, want 30", c.Window)
	}
	if c := load(t, "--config", file, "--", "on", "--line"); !slices.Equal(c.Command, []string{"on", "--line"}) {
		t.Errorf("the command on the line does not win: %q", c.Command)
	}
}

func TestFileProblemsComeFirstAndAllAreTold(t *testing.T) {
	file := write(t, "window = 900\nlog_level = \"loud\"\n")
	_, _, err := Load([]string{"--head-bytes", "7", "--config", file, "--balance", "rr", "./x"})
	want := file + `:1: window = 900: must be between 1 and 250
` + file + `:2: log_level = "loud": must be debug, info, warn or error
--head-bytes 7: must be between 1024 and 65536
--balance rr: must be least-connection, round-robin, random, client-address or forwarded-for`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var usage *Error
	if !errors.As(err, &usage) || len(usage.Problems) != 4 {
		t.Errorf("%T has not four problems: %v", err, usage)
	}
}

func TestOverriddenFileValueIsStillChecked(t *testing.T) {
	_, _, err := Load([]string{"--config", write(t, "window = 900"), "--window", "5", "./x"})
	if err == nil {
		t.Error("window = 900 in the file passed because a flag hid it")
	}
}

func TestUnreadableFile(t *testing.T) {
	_, _, err := Load([]string{"--config", filepath.Join(t.TempDir(), "none.toml"), "./x"})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("missing file: %v", err)
	}
	if _, _, err := Load([]string{"--config", t.TempDir(), "./x"}); err == nil {
		t.Error("a directory was read as a file")
	}
	long := write(t, strings.Repeat("#\n", maxFile/2)+"#")
	if _, _, err := Load([]string{"--config", long, "./x"}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a file over the limit: %v", err)
	}
}

// An upgrade puts the configuration down as JSON, which knows text only.
func TestJSONKeepsTheBytesOfCommandAndEnv(t *testing.T) {
	c := load(t, "--env", "K=\xff", "--", "command \xff")
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again := &Config{}
	if err := json.Unmarshal(text, again); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("of %+v came %+v (%v)", c, again, err)
	}
}
