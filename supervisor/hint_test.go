package supervisor

import (
	"strings"
	"testing"
	"time"
)

func TestProgramName(t *testing.T) {
	for _, tt := range []struct {
		args []string
		comm string
		want string
	}{
		{[]string{"/usr/bin/python3", "-m"}, "python3", "python3"},
		{[]string{"nginx: master process /usr/sbin/nginx -c x"}, "nginx", "nginx"},
		{[]string{"npm start"}, "npm start", "npm"},
		{[]string{"-bash"}, "bash", "bash"},
		{nil, "kworker", "kworker"},
		{[]string{""}, "odd", "odd"},
	} {
		if got := programName(tt.args, tt.comm); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.args, tt.comm, got, tt.want)
		}
	}
}

func TestWatchModeIsNoticed(t *testing.T) {
	for command, want := range map[string]bool{
		"node --watch server.js":                       true,
		"node --import tsx --watch server.js":          true,
		"node -r ./x.js --watch-path ./src server.js":  true,
		"node --env-file .env --watch server.js":       true,
		"node --import=tsx --watch-path=src server.js": true,
		"node server.js --watch":                       false,
		"node --import tsx server.js --watch":          false,
		"node -- server.js --watch":                    false,
		"tsx --watch server.js":                        false,
		"node":                                         false,
	} {
		if got := watchesFiles(strings.Fields(command)); got != want {
			t.Errorf("%s: %t", command, got)
		}
	}
}

func TestHintFitsTheProgram(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     opened
		wants []string
	}{
		{"Python", opened{program: program{name: "python3"}}, []string{"a server in Python"}},
		{"Java", opened{program: program{name: "java"}}, []string{"a server in Java"}},
		{"unknown", opened{program: program{name: "lighttpd"}}, []string{"cannot run this program yet", "load balancer"}},
		{"Go", opened{program: program{name: "server"}, isGo: true}, []string{"workerproto.Listen"}},
		{"Node under a shell", opened{program: program{name: "node", args: []string{"node", "a.js"}}, command: []string{"/bin/sh", "-c", "x"}},
			[]string{"sh starts it. ", "stickyd -- node server.js"}},
		{"code on the command line", opened{program: program{name: "node", args: []string{"node", "-e"}}}, []string{"into a file"}},
		{"Python under npm", opened{program: program{name: "python3"}, command: []string{"npm", "start"}}, []string{"npm starts it. ", "in Python"}},
		{"Python under cross-env", opened{program: program{name: "python3"}, command: []string{"cross-env", "A=b", "python3"}}, []string{"cross-env starts it. "}},
	} {
		for _, want := range tt.wants {
			if got := tt.o.hint(); !strings.Contains(got, want) {
				t.Errorf("%s: %q has no %q", tt.name, got, want)
			}
		}
	}
}

func TestOpenedSaysWhere(t *testing.T) {
	o := opened{program: program{pid: 4711, name: "python3", listens: []string{":8000", "127.0.0.1:5000", "unix:/run/a.sock"}}}
	const want = "python3 (pid 4711) has opened port 8000, 127.0.0.1:5000, socket /run/a.sock itself, so stickyd cannot pass connections to it"
	if got := o.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTakenPortIsRecognised(t *testing.T) {
	for line, want := range map[string]bool{
		"OSError: [Errno 98] Address already in use":                          true,
		"Error: listen EADDRINUSE: address already in use :::3000":            true,
		"listen tcp :8080: bind: address already in use":                      true,
		"java.net.BindException: Address already in use":                      true,
		"Web server failed to start. Port 8080 was already in use.":           true,
		"nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address in use)":     true,
		"the address of the office is already known, and the room in use now": false,
	} {
		if got := (failure{lines: []string{"before", line}}).portInUse(); got != want {
			t.Errorf("%q: %t", line, got)
		}
	}
}

// When to give up on a command: at once only where it is certain.
func TestWhenACommandIsGivenUp(t *testing.T) {
	const taken = "bind: address already in use"
	port := &opened{program: program{name: "python3"}}
	for _, tt := range []struct {
		name   string
		after  time.Duration
		ready  bool
		opened map[int]*opened
		failed map[int]failure
		want   bool
	}{
		{"one has the port that another wanted", time.Second, false, map[int]*opened{1: port}, map[int]failure{2: {count: 1, lines: []string{taken}}}, true},
		{"it has got the port in its second life", time.Second, false, map[int]*opened{1: port}, map[int]failure{1: {count: 1, lines: []string{taken}}}, false},
		{"that port may be a debugger's", time.Second, false, map[int]*opened{1: port}, nil, false},
		{"another failed of something else", time.Second, false, map[int]*opened{1: port}, map[int]failure{2: {count: 1, lines: []string{"no such table"}}}, false},
		{"somebody else has the port", time.Second, false, nil, map[int]failure{1: {count: 1, lines: []string{taken}}, 2: {count: 1, lines: []string{taken}}}, false},
		{"one was ready", time.Minute, true, map[int]*opened{1: port}, map[int]failure{2: {count: 9, lines: []string{taken}}}, false},
		{"all serve by themselves for long", crashLoopPatience, false, map[int]*opened{1: port, 2: port}, nil, true},
		{"one does, the other fails for long", crashLoopPatience, false, map[int]*opened{1: port}, map[int]failure{2: {count: 3}}, true},
		{"one does, the other starts", time.Minute, false, map[int]*opened{1: port}, map[int]failure{2: {count: 2}}, false},
		{"all fail for long", crashLoopPatience, false, nil, map[int]failure{1: {count: 3}, 2: {count: 3}}, true},
	} {
		s := New(Spec{Workers: 2}, nil, nil)
		s.loop.started, s.loop.ready = time.Now().Add(-tt.after), tt.ready
		if tt.opened != nil {
			s.loop.opened = tt.opened
		}
		if tt.failed != nil {
			s.loop.failed = tt.failed
		}
		s.judge()
		if got := s.loop.fatal != nil; got != tt.want {
			t.Errorf("%s: given up: %t (%v)", tt.name, got, s.loop.fatal)
		}
	}
}
