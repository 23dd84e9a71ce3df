package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFileErrors(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"dash for underscore", "\n\nhead-timeout = \"5s\"", `stickyd.toml:3: unknown key "head-timeout"; did you mean "head_timeout"?`},
		{"out of range", "# a\n# b\n\n# c\n\n\nwindow = 900", "stickyd.toml:7: window = 900: must be between 1 and 250"},
		{"no unit", `head_timeout = "5"`, `stickyd.toml:1: head_timeout = "5": missing unit in duration: write for example 10s or 500ms (100ms to 10m)`},
		{"like nothing", "port = 80", `stickyd.toml:1: unknown key "port"; stickyd help --all shows all keys`},
		{"a flag's name", "check = true", "stickyd.toml:1: check is not for the file, only a flag: --check"},
		{"unknown table", "\n[supervisor]\nwindow = 5", `stickyd.toml:2: unknown key "supervisor"; stickyd help --all shows all keys`},
		{"unknown array of tables", "\n[[worker]]\na = 1", `stickyd.toml:2: unknown key "worker"; did you mean "workers"?`},
		{"unknown dotted key", "\na.b.c = 1\na.b.d = 2", `stickyd.toml:2: unknown key "a"; stickyd help --all shows all keys`},
		{"key in quotes", "\n'win dow' = 5", `stickyd.toml:2: unknown key "win dow"; did you mean "window"?`},
		{"empty key", "\n'' = 5", `stickyd.toml:2: unknown key ""; stickyd help --all shows all keys`},

		{"number for a time", "head_timeout = 10", `stickyd.toml:1: head_timeout: must be a string such as "10s", not the number 10`},
		{"string for a number", `window = "64"`, "stickyd.toml:1: window: must be a whole number such as 64, not a string"},
		{"fraction", "window = 6.5", "stickyd.toml:1: window: must be a whole number such as 64, not the number 6.5"},
		{"table for workers", "[workers]\ncount = 4", `stickyd.toml:1: workers: must be a whole number or a string such as "auto", not a table`},
		{"number for an array", "listen = 3000", `stickyd.toml:1: listen: must be an array of strings such as [":3000"], not the number 3000`},
		{"numbers in an array", "listen = [3000]", `stickyd.toml:1: listen: must be an array of strings such as [":3000"], not an array that holds the number 3000`},
		{"string for the command", `command = "node server.js"`, `stickyd.toml:1: command: must be an array of strings such as ["./myserver"], not a string`},
		{"array for a word", `balance = ["random"]`, `stickyd.toml:1: balance: must be a string such as "least-connection", not an array`},
		{"truth for a word", "log_level = true", `stickyd.toml:1: log_level: must be a string such as "info", not true`},
		{"date for a word", "log_level = 2026-01-01", `stickyd.toml:1: log_level: must be a string such as "info", not a date`},
		{"string for env", "env = 'A=1'", `stickyd.toml:1: env: must be a table such as [env] followed by lines NAME = "value", not a string`},
		{"array of tables for env", "[[env]]", `stickyd.toml:1: env: must be a table such as [env] followed by lines NAME = "value", not an array of tables`},

		{"no command in the array", "command = []", "stickyd.toml:1: command: must start with the program to run"},
		{"NUL in the command", `command = ["a\u0000"]`, `stickyd.toml:1: command = "a\x00": must not hold a NUL byte`},
		{"no address", "listen = []", "stickyd.toml:1: listen: must hold at least one value"},
		{"no source", "session = []", "stickyd.toml:1: session: must hold at least one value; write none if requests carry no session id"},
		{"none among others", "session = ['none', 'query:a']", "stickyd.toml:1: session: none must stand alone, without other sources"},
		{"workers over the limit", "workers = 2000", "stickyd.toml:1: workers = 2000: must be between 1 and 1024, or auto"},
		{"workers by another word", "workers = 'all'", `stickyd.toml:1: workers = "all": must be a whole number between 1 and 1024, or auto`},

		{"number as a variable", "[env]\nPORT = 8080", "stickyd.toml:2: env.PORT: must be a string in quotes, not the number 8080"},
		{"table as a variable", "[env]\n[env.A]", "stickyd.toml:2: env.A: must be a string in quotes, not a table"},
		{"reserved variable, its value not shown", "[env]\nSTICKYD_FD = 'secret'", "stickyd.toml:2: env.STICKYD_FD: names that start with STICKYD_ are reserved"},
		{"= in a variable's name", "[env]\n'A=B' = 'secret'", `stickyd.toml:2: env."A=B": a variable's name cannot hold =`},
		{"variable without name", "[env]\n\n'' = 'secret'", `stickyd.toml:3: env."": the variable's name must not be empty`},
		{"option below env", "[env]\nwindow = '5'", "stickyd.toml:2: window stands below [env] and would be a variable: move it above [env] (or, if you mean the variable, use --env window=...)"},
		{"variable by a dotted key", "\nenv.STICKYD_A = '1'", "stickyd.toml:2: env.STICKYD_A: names that start with STICKYD_ are reserved"},
		{"variable in an inline table", "\nenv = { STICKYD_A = '1' }", "stickyd.toml:2: env.STICKYD_A: names that start with STICKYD_ are reserved"},

		{"time without quotes", "window = 5\nhead_timeout = 10s\n", `stickyd.toml:2: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead; write it as in head_timeout = "10s"`},
		{"word without quotes", "balance = random", `stickyd.toml:1: expected value but found "random" instead; write it as in balance = "least-connection"`},
		{"colon for =", "log-level: 'info'", `stickyd.toml:1: expected '.' or '=', but got ':' instead; write it as in log_level = "info"`},
		{"unknown key with a wrong value", "port = http", `stickyd.toml:1: expected value but found "http" instead`},
		{"long value is cut", "balance = '" + strings.Repeat("é", 1000) + "'", `stickyd.toml:1: balance = "` + strings.Repeat("é", 40) +
			`...": must be least-connection, round-robin, random, client-address or forwarded-for`},
		{"string of several lines", "window = 5\nbalance = '''\nran\ndom'''", `stickyd.toml:2: balance = "ran\ndom": must be least-connection, round-robin, random, client-address or forwarded-for; did you mean random?`},
		{"byte order mark", "\ufeff#\n= 5", "stickyd.toml:2: unexpected '=': key name appears blank"},
		{"key twice", "window = 1\n\nwindow = 2", "stickyd.toml:3: Key 'window' has already been defined."},
		{"array without its end", "listen = [\n':80',\nwindow = 5", `stickyd.toml:3: expected value but found "window" instead`},
		{"table name without its end", "[env\n", `stickyd.toml:1: expected '.' or ']' to end table name, but got '\n' instead`},
		{"no UTF-8", "window = 1\n# \xff", "stickyd.toml:2: invalid UTF-8 byte: 0xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := try(tt.text)
			if len(problems) != 1 || problems[0].Error() != tt.want {
				t.Errorf("%q:\ngot  %v\nwant %s", tt.text, problems, tt.want)
			}
		})
	}
}

// try reads a text as if it were a file, on top of the defaults.
func try(text string) (*loaded, []error) {
	settings, err := fromText("stickyd.toml", text)
	if err != nil {
		return nil, []error{err}
	}
	l := defaults()
	return l, l.apply(settings)
}

func TestLinesAreRight(t *testing.T) {
	tests := []struct {
		name, text string
		line       int
	}{
		{"behind an array", "command = [ # [env]\n 'a', # window = 1\n 'b',\n]\nenv.BAD = 1", 5},
		{"behind a string of several lines", "[env]\nA = \"\"\"\nBAD = 1\n\n\"\"\"\nBAD = 1", 6},
		{"behind a raw string of several lines", "[env]\nA = '''\nBAD = 1\n'''\nBAD = 1", 5},
		{"behind carriage returns", "# a\r\n# b\r\nenv.BAD = 1\r\n", 3},
		{"behind the word in a comment and a value", "# BAD = 1\nenv.A = 'BAD = 1'\nenv.BAD = 1", 3},
		{"of a value of several lines", "\n[env]\nBAD = [\n1,\n]\n", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := try(tt.text)
			want := fmt.Sprintf("stickyd.toml:%d: env.BAD: must be", tt.line)
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
				t.Errorf("want %s, got %v", want, problems)
			}
		})
	}
}

func TestProblemsComeInTheOrderOfLines(t *testing.T) {
	_, problems := try("window = 0\nprot = 1\nlisten = [':x', ':y']\nhead_bytes = '1'\n[env]\nB = 1\nA = 1\n")
	var places []string
	for _, problem := range problems {
		places = append(places, strings.SplitN(problem.Error(), ":", 3)[1])
	}
	if want := []string{"1", "2", "3", "3", "4", "6", "7"}; !slices.Equal(places, want) {
		t.Errorf("lines %v, want %v:\n%v", places, want, problems)
	}
}

func TestOneValueMayStandWithoutBrackets(t *testing.T) {
	l, problems := try("listen = ':80'\nsession = 'none'\ntrusted_proxy = '::1'\n")
	if len(problems) > 0 || !slices.Equal(l.Listen, []string{":80"}) ||
		!slices.Equal(l.Session, []string{"none"}) || len(l.TrustedProxies) != 1 {
		t.Errorf("%+v %v", l, problems)
	}
}

// FuzzFile: any bytes are either refused, in single lines that name the file,
// or give a configuration whose values are all within their ranges.
func FuzzFile(f *testing.F) {
	f.Add(Reference())
	for name, s := range samples {
		f.Add(strings.ReplaceAll(name, "-", "_") + " = " + s.file)
	}
	f.Add("env.A = '1'\nenv.B = '''\n2'''\n[a.b]\n[[c]]\nd = [{}, 1]")
	f.Add("window = 10s")
	f.Add("\x05") // the library puts this error before the text
	f.Add("\ufeff[env]\r\n\"\" = \"\\u0000\"")
	f.Fuzz(func(t *testing.T, text string) {
		l, problems := try(text)
		for _, problem := range problems {
			if message := problem.Error(); !strings.HasPrefix(message, "stickyd.toml:") || strings.Contains(message, "\n") {
				t.Errorf("message %q", message)
			}
		}
		if len(problems) == 0 {
			checkRanges(t, &l.Config)
		}
		path := filepath.Join(t.TempDir(), "stickyd.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load([]string{"--config", path, "--", "app"}); len(problems) > 0 && err == nil {
			t.Errorf("Load found nothing wrong; but %v", problems)
		}
	})
}

func checkRanges(t *testing.T, c *Config) {
	t.Helper()
	within := func(name string, value, low, high int64) {
		if value < low || value > high {
			t.Errorf("%s = %d", name, value)
		}
	}
	within("workers", int64(c.Workers), 1, 1024)
	within("window", int64(c.Window), 1, 250)
	within("head_bytes", int64(c.HeadBytes), 1024, 65536)
	within("max_waiting", int64(c.MaxWaiting), 16, 1000000)
	within("head_timeout", int64(c.HeadTimeout), int64(100*time.Millisecond), int64(10*time.Minute))
	within("queue_timeout", int64(c.QueueTimeout), 0, int64(10*time.Minute))
	within("start_timeout", int64(c.StartTimeout), int64(100*time.Millisecond), int64(time.Hour))
	within("dump_grace", int64(c.DumpGrace), 0, int64(time.Minute))
	within("drain_timeout", int64(c.DrainTimeout), 0, int64(24*time.Hour))
	within("stop_timeout", int64(c.StopTimeout), 0, int64(time.Hour))
	within("min_ready", int64(c.MinReady), 0, int64(time.Hour))
	within("parallel", int64(c.Parallel), 1, 1024)
	within("max_unready", int64(c.MaxUnready), 0, 1024)
	within("max_draining", int64(c.MaxDraining), 1, 1024)
	if c.HangTimeout != 0 {
		within("hang_timeout", int64(c.HangTimeout), int64(100*time.Millisecond), int64(time.Hour))
	}
	within("len(listen)", int64(len(c.Listen)), 1, 1<<20)
	within("len(session)", int64(len(c.Session)), 1, 1<<20)
	for _, address := range c.Listen {
		if _, _, err := net.SplitHostPort(address); err != nil && !strings.HasPrefix(address, "unix:") {
			t.Errorf("listen = %q", address)
		}
	}
	for i, variable := range c.Env {
		name, _, ok := strings.Cut(variable, "=")
		if !ok || name == "" || strings.HasPrefix(name, "STICKYD_") || strings.Contains(variable, "\x00") {
			t.Errorf("env = %q", variable)
		}
		if i > 0 && variableName(c.Env[i-1]) >= name {
			t.Errorf("env is not sorted: %q", c.Env)
		}
	}
}

// A relative path is that of a directory which may be another release's by now,
// or none.
func TestFileThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "release")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	is := func(path, want string) {
		t.Helper()
		_, err := fromFile(path)
		if err == nil || err.Error() != "cannot read --config: "+want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	is("s.toml", "open "+dir+"/s.toml: no such file or directory")
	is("/nonexistent/s.toml", "open /nonexistent/s.toml: no such file or directory")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	is("s.toml", "open s.toml: no such file or directory: the directory in which stickyd was started is gone; start it again, with an absolute path")
	is("/nonexistent/s.toml", "open /nonexistent/s.toml: no such file or directory")
}
