package supervisor

import (
	"slices"
	"strings"
	"testing"
)

func TestEachWorkersDebuggerHasAPortOfItsOwn(t *testing.T) {
	for _, tt := range []struct{ argv, want string }{
		{"node --inspect server.js", "node --inspect=9231 server.js"},
		{"/usr/bin/node --inspect-brk=4000 server.js --inspect", "/usr/bin/node --inspect-brk=4002 server.js --inspect"},
		{"node --a --inspect=[::1]:4000 server.js", "node --a --inspect=[::1]:4002 server.js"},
		{"node --inspect=0.0.0.0 server.js", "node --inspect=0.0.0.0:9231 server.js"},
		{"node --inspect --inspect-port=4000 server.js", "node --inspect=9231 --inspect-port=4002 server.js"},
		{"node --inspect=0 server.js", "node --inspect=0 server.js"},
		{"node --inspect-publish-uid=http server.js", "node --inspect-publish-uid=http server.js"},
		{"node -r ./x.js --inspect server.js", "node -r ./x.js --inspect=9231 server.js"},
		{"node --import tsx --title a --inspect=4000 server.js", "node --import tsx --title a --inspect=4002 server.js"},
		{"node --import=tsx --inspect server.js", "node --import=tsx --inspect=9231 server.js"},
		{"node -C a --env_file b --inspect s.js", "node -C a --env_file b --inspect=9231 s.js"},
		{"node --inspect-port 4000 --inspect server.js", "node --inspect-port 4002 --inspect=9231 server.js"},
		{"node --inspect-port", "node --inspect-port"},
		{"node -r ./x.js server.js --inspect", "node -r ./x.js server.js --inspect"},
		{"node --trace-warnings server.js --inspect", "node --trace-warnings server.js --inspect"},
		{"node -- server.js --inspect", "node -- server.js --inspect"},
		{"node -- --inspect", "node -- --inspect"},
		{"node - --inspect", "node - --inspect"},
		{"node -r", "node -r"},
		{"node server.js --inspect", "node server.js --inspect"},
		{"./server --inspect", "./server --inspect"},
		{"node", "node"},
	} {
		if got := strings.Join(withInspector(strings.Fields(tt.argv), 2), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.argv, got, tt.want)
		}
		if got := strings.Join(withInspector(strings.Fields(tt.argv), 0), " "); got != tt.argv {
			t.Errorf("%s: the first worker's is %s", tt.argv, got)
		}
	}
	if got := countUpAll(`--title="a  b" --inspect`, 1); got != `--title="a  b" --inspect=9230` {
		t.Error("in a variable:", got)
	}
	if got := countUpAll("--inspect-port  127.0.0.1:4000 --inspect", 1); got != "--inspect-port  127.0.0.1:4001 --inspect=9230" {
		t.Error("in a variable, the port by itself:", got)
	}
}

// While a worker is replaced both have one, and then the old port is free again.
func TestPortsOfDebuggersAreUsedAgain(t *testing.T) {
	var i inspectors
	var got []int
	for _, slot := range []int{1, 2, 1, 2, 1} {
		got = append(got, i.take(slot, 2))
	}
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("offsets %v, want %v", got, want)
	}
	i.release(0)
	if n := i.take(1, 2); n != 0 {
		t.Errorf("the next worker of the slot has %d", n)
	}
	i.release(3)
	i.restore(1)
	if n := i.take(2, 2); n != 3 {
		t.Errorf("the other slot's has %d", n)
	}
}
