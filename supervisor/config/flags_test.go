package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programs makes a directory with programs of these names in it.
func programs(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommandLine(t *testing.T) {
	t.Setenv("PATH", programs(t, "stop-it", "kill"))
	t.Chdir(programs(t, "status.sh"))
	tests := []struct {
		name string
		args string
		want string // the command
	}{
		{"behind --", "-n 2 -- ./server -x --y", "./server -x --y"},
		{"at the first word that is no flag", "-n 2 ./server --window 900", "./server --window 900"},
		{"a -- of the command's own stays", "./server -- --check", "./server -- --check"},
		{"one dash is as good as two", "-workers 2 -listen=:80 ./x", "./x"},
		{"a letter and its value in one word", "-n2 -l:80 -bround-robin ./x -n2", "./x -n2"},
		{"flags of the command are not ours", "-- x --help", "x --help"},
		{"a verb behind --", "-n 2 -- status", "status"},
		{"like a verb, behind --", "-- restrat", "restrat"},
		{"like a verb, in a directory", "./restrat", "./restrat"},
		{"a word that is no path, and further ones", "node server.js", "node server.js"},
		{"alone, but a path", "./ps", "./ps"},
		{"alone, behind --", "-- ps", "ps"},
		{"like a verb, and there is such a program", "stop-it now", "stop-it now"},
		{"like a verb, and there is such a file", "status.sh now", "status.sh now"},
		{"of another tool, behind --", "-n 2 -- kill 1", "kill 1"},
		{"of another tool, in a directory", "./kill 1", "./kill 1"},
		{"an interpreter, behind flags", "-n 2 --listen :80 python3 app.py -v", "python3 app.py -v"},
		{"a program that starts another", "env A=1 node server.js", "env A=1 node server.js"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c := load(t, strings.Fields(tt.args)...); !slices.Equal(c.Command, strings.Fields(tt.want)) {
				t.Errorf("command = %q, want %q", c.Command, tt.want)
			}
		})
	}
}

func TestAsked(t *testing.T) {
	tests := []struct {
		name, args string
		want       Asked
	}{
		{"nothing", "./x", Asked{}},
		{"check", "--check ./x", Asked{Check: true}},
		{"a flag can be taken back", "--check --check=false ./x", Asked{}},
		{"help needs no command", "--help", Asked{Help: true}},
		{"the short help", "-h", Asked{Help: true}},
		{"all of the help", "--help --all", Asked{Help: true, All: true}},
		{"help comes before what is wrong", "--window 900 --config /nowhere --help --bogus", Asked{Help: true}},
		{"version needs no command", "--version", Asked{Version: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, asked, err := Load(strings.Fields(tt.args))
			if err != nil || asked != tt.want {
				t.Errorf("asked = %+v, %v; want %+v", asked, err, tt.want)
			}
			if (c == nil) != (tt.want.Help || tt.want.Version) {
				t.Errorf("config = %+v", c)
			}
		})
	}
}

func TestFlagErrors(t *testing.T) {
	t.Setenv("PATH", programs(t, "kill", "ps"))
	t.Chdir(programs(t, "status.sh", "save"))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no command", nil, "no command to run: write it behind --, as in stickyd -- ./myserver; or set command in the file"},
		{"nothing behind --", []string{"--"}, errNoCommand.Error()},
		{"empty command", []string{"--", ""}, "command: must start with the program to run"},
		{"typing error", []string{"--wrokers", "2", "./x"}, "unknown flag --wrokers; did you mean --workers?"},
		{"typing error behind one dash", []string{"-listn", ":80", "x"}, "unknown flag -listn; did you mean --listen?"},
		{"letters of which one is none", []string{"-hx", "x"}, "unknown flag -hx; stickyd help --all shows all flags"},
		{"value in the word", []string{"--wrokers=2", "./x"}, "unknown flag --wrokers; did you mean --workers?"},
		{"underscore for dash", []string{"--head_timeout", "1s", "./x"}, "unknown flag --head_timeout; did you mean --head-timeout?"},
		{"like nothing", []string{"--port", "80", "./x"}, "unknown flag --port; stickyd help --all shows all flags"},
		{"unknown letter", []string{"-p", "80", "./x"}, "unknown flag -p; stickyd help --all shows all flags"},
		{"key of the file", []string{"--command", "./x"}, "--command is no flag: set command in the file, or write the command behind --"},
		{"place of ids without a name", []string{"--session", "header:", "./x"},
			`--session "header:": a name or pattern must follow the colon, as in header:Mcp-Session-Id`},
		{"three dashes", []string{"---check", "./x"}, "bad flag syntax: ---check"},
		{"verb behind a flag", []string{"--control", "3000", "status"},
			"write the flags of stickyd status after that word: stickyd status [flags] (to run a program of that name as workers: stickyd -- status)"},
		{"verb behind a flag of its own", []string{"--json", "status"}, "unknown flag --json; write the flags of stickyd status after that word: stickyd status [flags]"},
		{"unknown flag before a command that is called as a verb", []string{"--port", "80", "--", "status"}, "unknown flag --port; stickyd help --all shows all flags"},
		{"typing error before a command with such a word", []string{"--wrokers", "2", "npm", "run", "restart"}, "unknown flag --wrokers; did you mean --workers?"},
		{"verb behind several flags", []string{"-f", "--control", "3000", "--unknown", "-n", "5", "logs"},
			"unknown flag -f; write the flags of stickyd logs after that word: stickyd logs [flags]"},
		{"typing error in a verb", []string{"restrat"}, `unknown command "restrat"; did you mean "restart"? (to run a program of that name as workers: stickyd -- restrat)`},
		{"typing error in a verb, with flags", []string{"-n", "2", "Status", "--json"}, `unknown command "Status"; did you mean "status"? (to run a program of that name as workers: stickyd -- Status)`},
		{"word of another tool", []string{"-n", "2", "ps"}, `unknown command "ps"; stickyd status shows the workers (to run a program of that name as workers: stickyd -- ps)`},
		{"start, with what is to start", []string{"start", "app.js"}, `unknown command "start"; stickyd -- COMMAND starts (to run a program of that name as workers: stickyd -- start)`},
		{"any program", []string{"kill"}, `unknown command "kill"; stickyd stop stops all, stickyd restart 3 replaces one worker (to run a program of that name as workers: stickyd -- kill)`},
		{"any program of another tool", []string{"ps", "-a"}, `unknown command "ps"; stickyd status shows the workers (to run a program of that name as workers: stickyd -- ps)`},
		{"the same behind flags", []string{"-n", "2", "kill", "3"}, `unknown command "kill"; stickyd stop stops all, stickyd restart 3 replaces one worker (to run a program of that name as workers: stickyd -- kill)`},
		{"a file here that is called as a command of another tool", []string{"save", "now"}, `unknown command "save"; a service manager starts stickyd at boot, see examples/systemd (to run the file of that name as workers: stickyd ./save)`},
		{"like nothing", []string{"reboot"}, `unknown command "reboot"; stickyd help shows the commands (to run a program of that name as workers: stickyd -- reboot)`},
		{"a file here", []string{"status.sh"}, `unknown command "status.sh"; did you mean "status"? (to run the file of that name as workers: stickyd ./status.sh)`},
		{"line break in a word", []string{"a\nb"}, `unknown command "a\nb"; stickyd help shows the commands (to run a program of that name as workers: stickyd -- "a\nb")`},
		{"no value", []string{"--window"}, "--window: needs a value: --window N"},
		{"no value for a letter", []string{"-n"}, "--workers: needs a value: --workers N"},
		{"value for a switch", []string{"--check=maybe", "./x"}, "--check maybe: takes no value"},
		{"empty path", []string{"--config", "", "./x"}, `--config "": must be the path of a file`},
		{"duration without unit", []string{"--head-timeout", "5", "./x"},
			"--head-timeout 5: missing unit in duration: write for example 10s or 500ms (100ms to 10m)"},
		{"none among others", []string{"--session", "none", "--session", "query:sid", "./x"},
			"--session: none must stand alone, without other sources"},
		{"address twice", []string{"-l", ":80", "-l", "localhost:80", "-l", ":80", "./x"}, "--listen: :80 is given twice"},
		{"address twice, in other words", []string{"-l", ":80", "-l", "[::]:80", "./x"}, "--listen: [::]:80 is given twice, as :80"},
		{"socket twice", []string{"-l", "unix:/a", "-l", "unix:/a", "./x"}, "--listen: unix:/a is given twice"},
		{"metrics twice", []string{"--metrics", ":80", "--metrics", ":80", "./x"}, "--metrics: :80 is given twice"},
		{"metrics where clients connect", []string{"-l", ":80", "--metrics", "0.0.0.0:80", "./x"},
			"metrics: 0.0.0.0:80 is where clients connect, as :80; choose another port"},
		{"variable without =", []string{"--env", "TOKEN", "./x"}, "--env TOKEN: must be NAME=VALUE"},
		{"reserved variable, its value not shown", []string{"--env", "STICKYD_FD=secret", "./x"},
			"--env STICKYD_FD: names that start with STICKYD_ are reserved"},
		{"variable without name", []string{"--env", "=secret", "./x"}, `--env "": the variable's name must not be empty`},
		{"line break in a value", []string{"--listen", "a\nb", "./x"},
			`--listen "a\nb": must be host:port, :port, [::1]:port or unix:/path`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Load(tt.args)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Load(%q):\ngot  %v\nwant %s", tt.args, err, tt.want)
			}
			var usage *Error
			if c != nil || !errors.As(err, &usage) {
				t.Errorf("Load(%q) = %v, %T; want nil, *Error", tt.args, c, err)
			}
		})
	}
}

func TestHelpAboutWhatThereIsNot(t *testing.T) {
	for words, want := range map[string]string{
		"": "", "logs": "", "demo": "", "help": "", "all": "", "--all": "",
		"foo":      `unknown command "foo"; stickyd help shows the commands`,
		"restrat":  `unknown command "restrat"; did you mean "restart"?`,
		"list":     `unknown command "list"; stickyd status shows the workers`,
		"logs now": "help takes one word",
	} {
		err := CheckHelp(strings.Fields(words))
		var usage *Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &usage) || err.Error() != want) {
			t.Errorf("help %s: %v, want %q", words, err, want)
		}
	}
}

func TestAddressesThatAreNotTheSame(t *testing.T) {
	for _, args := range []string{
		"-l 127.0.0.1:0 -l 127.0.0.1:0 --metrics 127.0.0.1:0", // the kernel chooses
		"-l 127.0.0.1:80 -l 127.0.0.2:80 -l unix:/a -l unix:/b --metrics 127.0.0.1:81",
		"--metrics :3000", // a service manager may have opened another port
	} {
		load(t, append(strings.Fields(args), "./x")...)
	}
}
