package supervisor

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// nobody is a Client that does nothing.
type nobody struct{ workerproto.Traffic }

func (nobody) Incarnation() uint32                   { return 7 }
func (nobody) Ready()                                {}
func (nobody) Draining()                             {}
func (nobody) Remaining() (sessions, open int)       { return 0, 0 }
func (nobody) Connections() int64                    { return 0 }
func (nobody) Release() (sessions int)               { return 0 }
func (nobody) Gone([]workerproto.Connection) (n int) { return 0 }

func newTestLink(t *testing.T, p Protocol) (l Link, worker *fdpass.Conn) {
	t.Helper()
	near, far, err := fdpass.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if worker, err = fdpass.Adopt(far); err != nil {
		t.Fatal(err)
	}
	s := New(Spec{Launch: Launch{Protocol: p, Serialization: nodeipc.Advanced}, Workers: 1}, nil, slog.New(slog.DiscardHandler))
	w := &Worker{Slot: 1, launch: s.current, client: nobody{}, events: make(chan event, maxEvents)}
	t.Cleanup(func() { worker.Close() })
	return s.newLink(near, w), worker
}

func TestFirstWordDecidesOnTheDialect(t *testing.T) {
	for _, tt := range []struct {
		name, say string
		node      bool
		err       error
	}{
		{"JSON of Node", `{"cmd":"NODE_CLUSTER","act":"online","seq":0}` + "\n", true, nil},
		{"V8 of Node", "\x00\x00\x00\x05\xff\x0fo{\x00", true, nil},
		{"JSON of Bun", "\x02" + `{"cmd":"NODE_CLUSTER","act":"online","seq":0}` + "\n", true, nil},
		{"what Bun writes in place of V8", "\x01\x02\x00\x00\x00\x03\x3b\x00", true, nodeipc.ErrSerialization},
		{"HELLO", "\x81\x00\x00\x00\x00\x00\x00\x0cmin=1\nmax=1\n", false, nil},
		{"anything else", "GET / HTTP/1.1\r\n", false, workerproto.ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, worker := newTestLink(t, Auto)
			ran := make(chan error, 1)
			var running sync.WaitGroup
			running.Go(func() { ran <- l.Run() })
			if err := l.Hand(workerproto.Connection{}); err != workerproto.ErrEnded {
				t.Error("Hand before a word was said:", err)
			}
			if l.Hint() == "" || l.RegistersLate() {
				t.Error("nothing is known yet")
			}
			worker.TrySend([]byte(tt.say), nil)
			l.Sync() // decides, if Run has not
			_, isNode := l.(*undecided).decided().(*nodeipc.Link)
			if isNode != tt.node {
				t.Errorf("Node's dialect: %t, want %t", isNode, tt.node)
			}
			if tt.err == nil {
				l.Close()
			}
			if err := <-ran; !errors.Is(err, tt.err) {
				t.Errorf("ended with %v, want %v", err, tt.err)
			}
			running.Wait()
			l.Close()
		})
	}
}

func TestUndecidedLinkEnds(t *testing.T) {
	for name, end := range map[string]func(Link, *fdpass.Conn){
		"by the worker": func(_ Link, worker *fdpass.Conn) { worker.Close() },
		"by Close":      func(l Link, _ *fdpass.Conn) { l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l, worker := newTestLink(t, Auto)
			ran := make(chan error, 1)
			go func() { ran <- l.Run() }()
			end(l, worker)
			select {
			case err := <-ran:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("Run goes on")
			}
			if len(l.Close()) > 0 {
				t.Error("connections come back")
			}
		})
	}
}

func TestEnvironmentOffersTheDialects(t *testing.T) {
	t.Setenv("NODE_CHANNEL_FD", "9") // of somebody who started stickyd
	t.Setenv("NOTIFY_SOCKET", "x")
	const forNode = `STICKYD_NODE={"serialization":"json","session":[]}`
	for _, tt := range []struct {
		protocol Protocol
		want     []string
	}{
		{Auto, []string{"NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=json", "NODE_UNIQUE_ID=7",
			"STICKYD_FD=3", forNode, "STICKYD_PROTOCOL=1", "STICKYD_WORKER=2", "STICKYD_WORKERS=4"}},
		{Native, []string{"STICKYD_FD=3", "STICKYD_PROTOCOL=1", "STICKYD_WORKER=2", "STICKYD_WORKERS=4"}},
		{Node, []string{"NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=json", "NODE_UNIQUE_ID=7",
			forNode, "STICKYD_WORKER=2", "STICKYD_WORKERS=4"}},
	} {
		s := New(Spec{Launch: Launch{Protocol: tt.protocol, Serialization: nodeipc.JSON}, Workers: 4}, nil, nil)
		env, err := s.environment(&Worker{Slot: 2, launch: s.current, terms: workerproto.Terms{Incarnation: 7, Workers: 4}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		env = slices.DeleteFunc(env, func(kv string) bool {
			if strings.HasPrefix(kv, workerproto.EnvInstance+"=") || strings.HasPrefix(kv, "STICKYD_BIN=") {
				return true // this stickyd's own, in any dialect, and what the test suites say to each other
			}
			return !strings.HasPrefix(kv, "STICKYD_") && !strings.HasPrefix(kv, "NODE_CHANNEL_") &&
				!strings.HasPrefix(kv, "NODE_UNIQUE_ID") && !strings.HasPrefix(kv, "NOTIFY_")
		})
		if slices.Sort(env); !slices.Equal(env, tt.want) {
			t.Errorf("%s: %q, want %q", tt.protocol, env, tt.want)
		}
	}
}

func TestPreloadIsAddedToWhatTheUserHasSet(t *testing.T) {
	for _, tt := range []struct {
		name      string
		env, argv []string
		path      string
		node, bun string
	}{
		{"nothing set", nil, nil, "/tmp/p.js", `--require "/tmp/p.js"`, "--preload /tmp/p.js"},
		{"empty", []string{"NODE_OPTIONS="}, nil, "/tmp/p.js", `--require "/tmp/p.js"`, "--preload /tmp/p.js"},
		{"set twice", []string{"NODE_OPTIONS=--a", "B=c", "NODE_OPTIONS=--b"}, nil, "/tmp/p.js", `--b --require "/tmp/p.js"`, "--preload /tmp/p.js"},
		{"ends in =", []string{"NODE_OPTIONS=--title=", "BUN_OPTIONS=--a"}, nil, "/tmp/p.js", `--title= --require "/tmp/p.js"`, "--a --preload /tmp/p.js"},
		{"a path that Bun can't be told", nil, nil, `/my "tmp\/p.js`, `--require "/my \"tmp\\/p.js"`, ""},
		{"quotes and spaces", nil, []string{"node", "--permission"}, `/my "tmp" o'/p.js`, `--require "/my \"tmp\" o'/p.js" --allow-fs-read="/my \"tmp\" o'/p.js"`,
			`--preload /my\ \"tmp\"\ o\'/p.js`},
		{"permissions", nil, []string{"node", "--permission", "x"}, "/tmp/p.js", `--require "/tmp/p.js" --allow-fs-read="/tmp/p.js"`, "--preload /tmp/p.js"},
		{"permissions of all", []string{"NODE_OPTIONS=--experimental-permission"}, nil, "/tmp/p.js",
			`--experimental-permission --require "/tmp/p.js" --allow-fs-read="/tmp/p.js"`, "--preload /tmp/p.js"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Spec{Workers: 1, Launch: Launch{Argv: tt.argv, Env: tt.env, Preload: PreloadOn}, Preload: func() (string, error) { return tt.path, nil }},
				nil, slog.New(slog.DiscardHandler))
			t.Setenv("NODE_OPTIONS", "")
			t.Setenv("BUN_OPTIONS", "")
			env, err := s.environment(&Worker{launch: s.current}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if node, bun := lastOf(env, "NODE_OPTIONS"), lastOf(env, "BUN_OPTIONS"); node != tt.node || bun != tt.bun {
				t.Errorf("%s and %s, want %s and %s", node, bun, tt.node, tt.bun)
			}
		})
	}
	broken := errors.New("no space left")
	s := New(Spec{Launch: Launch{Preload: PreloadOn}, Preload: func() (string, error) { return "", broken }}, nil, slog.New(slog.DiscardHandler))
	if _, err := s.environment(&Worker{launch: s.current}, nil); err != broken {
		t.Error("started without:", err)
	}
}
