package config

import (
	"strings"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	long := "unix:/" + strings.Repeat("x", maxSocketPath)
	tests := []struct {
		name, option, text string
		ok                 bool
	}{
		{"all addresses", "listen", ":80", true},
		{"port chosen by the kernel", "listen", "127.0.0.1:0", true},
		{"IPv6", "listen", "[::1]:65535", true},
		{"IPv6 with a zone", "listen", "[fe80::1%eth0]:80", true},
		{"host name", "listen", "localhost:80", true},
		{"socket", "listen", "unix:/run/stickyd.sock", true},
		{"longest socket path", "listen", long[:len("unix:")+maxSocketPath], true},
		{"socket path one byte too long", "listen", long, false},
		{"socket without a path", "listen", "unix:", false},
		{"socket path with a NUL", "listen", "unix:/a\x00", false},
		{"port over 65535", "listen", ":65536", false},
		{"negative port", "listen", ":-1", false},
		{"port with a plus", "listen", ":+80", false},
		{"port by name", "listen", ":http", false},
		{"no port", "listen", "localhost", false},
		{"port without a colon", "listen", "3000", false},
		{"IPv6 without brackets", "listen", "::1:80", false},
		{"a URL", "listen", "http://localhost:80", false},
		{"space in the host", "listen", "local host:80", false},
		{"empty address", "listen", "", false},

		{"lowest number", "window", "1", true},
		{"highest number", "window", "250", true},
		{"below", "window", "0", false},
		{"above", "window", "251", false},
		{"far above", "window", "99999999999999999999", false},
		{"fraction", "window", "1.5", false},
		{"no number of workers", "workers", "0", false},
		{"more workers than allowed", "workers", "1025", false},
		{"unlike auto", "workers", "Auto", false},

		{"shortest time", "head-timeout", "100ms", true},
		{"longest time", "head-timeout", "10m", true},
		{"time too short", "head-timeout", "99ms", false},
		{"time too long", "head-timeout", "10m1ms", false},
		{"zero where it is not allowed", "head-timeout", "0", false},
		{"negative time", "queue-timeout", "-1s", false},
		{"unknown unit", "drain-timeout", "1d", false},
		{"hang timeout off", "hang-timeout", "0", true},
		{"hang timeout off, with a unit", "hang-timeout", "0ms", true},
		{"hang timeout below off", "hang-timeout", "-1s", false},
		{"hang timeout between off and the shortest", "hang-timeout", "1ms", false},

		{"query", "session", "query:sid", true},
		{"header", "session", "header:Mcp-Session-Id", true},
		{"cookie", "session", "cookie:JSESSIONID", true},
		{"path", "session", "path:/echo/*/{}", true},
		{"no sessions", "session", "none", true},
		{"source without a name", "session", "query:", false},
		{"source without a colon", "session", "cookie", false},
		{"unknown source", "session", "body:sid", false},
		{"none with a name", "session", "none:sid", false},

		{"IPv4 address", "trusted-proxy", "10.0.0.1", true},
		{"IPv6 range", "trusted-proxy", "fd00::/8", true},
		{"everybody", "trusted-proxy", "0.0.0.0/0", true},
		{"address with a zone", "trusted-proxy", "fe80::1%eth0", false},
		{"range too narrow", "trusted-proxy", "10.0.0.0/33", false},
		{"host name as a proxy", "trusted-proxy", "localhost", false},

		{"empty value", "env", "A=", true},
		{"= in the value", "env", "A=b=c", true},
		{"NUL in the value", "env", "A=\x00", false},

		{"user by name", "user", "www-data", true},
		{"user by number", "user", "65534", true},
		{"user without a name", "user", "", false},
		{"user with its group", "user", "app:app", false},
		{"the user's group", "group", "auto", true},
		{"limit of files as it is", "worker-nofile", "same", true},
		{"too few files", "worker-nofile", "3", false},
		{"nicest", "worker-nice", "19", true},
		{"nicer than that", "worker-nice", "20", false},
		{"least memory", "worker-memory", "16M", true},
		{"too little memory", "worker-memory", "16383K", false},
		{"most memory", "worker-memory", "16T", true},
		{"too much memory", "worker-memory", "17T", false},
		{"far too much memory", "worker-memory", "99999999999999999999T", false},
		{"memory without a unit", "worker-memory", "536870912", false},
		{"memory with two units", "worker-memory", "1KM", false},
		{"unit alone", "worker-memory", "M", false},
		{"negative memory", "worker-memory", "-16M", false},
		{"any memory", "worker-memory", "unlimited", true},

		{"signal with SIG", "dump-signal", "SIGQUIT", true},
		{"signal in small letters", "dump-signal", "usr1", true},
		{"signal that would end it", "dump-signal", "KILL", false},
		{"level in capitals", "log-level", "INFO", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := byFlag(tt.option).kind.add(new(loaded), tt.text)
			if (err == nil) != tt.ok {
				t.Errorf("%s %q: %v", tt.option, tt.text, err)
			}
		})
	}
}

func TestHints(t *testing.T) {
	tests := []struct{ option, text, want string }{
		{"listen", "3000", "must be host:port, :port, [::1]:port or unix:/path; did you mean :3000?"},
		{"balance", "Round_Robin", "must be least-connection, round-robin, random, client-address or forwarded-for; did you mean round-robin?"},
		{"session", "qurey:sid", "must be query:NAME, header:NAME, cookie:NAME, path:/PATTERN or none; did you mean query?"},
		{"workers", "0", "must be between 1 and 1024, or auto"},
		{"window", "many", "must be a whole number between 1 and 250"},
		{"hang-timeout", "2h", "must be between 100ms and 1h, or 0 for off"},
		{"stop-timeout", "soon", "not a duration: write for example 10s or 500ms (0s to 1h)"},
	}
	for _, tt := range tests {
		err := byFlag(tt.option).kind.add(new(loaded), tt.text)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s %s:\ngot  %v\nwant %s", tt.option, tt.text, err, tt.want)
		}
	}
}

func TestBrief(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "100ms": 100 * time.Millisecond, "10s": 10 * time.Second, "1m30s": 90 * time.Second,
		"10m": 10 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "24h": 24 * time.Hour,
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v) = %q, want %q", d, got, want)
		}
	}
}
