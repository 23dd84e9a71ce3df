package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// plainGo builds a Go server that knows nothing of stickyd, and returns its command:
// it listens on a port of its own, or says that it can't.
func plainGo(t *testing.T) (command []string, addr string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module plain\n\ngo 1.26\n",
		"main.go": `package main

import (
	"log"
	"net/http"
	"os"
)

func main() { log.Fatal(http.ListenAndServe(os.Args[1], nil)) }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "server", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr = freeAddr(t)
	return []string{filepath.Join(dir, "server"), addr}, addr
}

// freeAddr is one that nobody listened on a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// underNpm is a Node server that npm starts, which takes stickyd's channel for itself.
func underNpm(t *testing.T, addr string) []string {
	t.Helper()
	dir := t.TempDir()
	host, port, _ := net.SplitHostPort(addr)
	for name, text := range map[string]string{
		"package.json": `{"scripts": {"start": "node server.js"}}`,
		"server.js":    fmt.Sprintf("require('http').createServer().listen(%s, '%s')", port, host),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"npm", "--prefix", dir, "start"}
}

// An ordinary server takes its port itself. One copy gets it, the others fail: then
// it is plain that they never become workers.
func TestOrdinaryServersAreToldApart(t *testing.T) {
	plain, addr := plainGo(t)
	underShell := append([]string{"sh", "-c", `"$@"; exit $?`, "sh"}, plain...)
	for name, tt := range map[string]struct {
		command  []string
		preload  string
		listener string
		want     string
	}{
		"Go":               {plain, "auto", "server (pid ", "call workerproto.Listen"},
		"Go under a shell": {underShell, "auto", "server (pid ", "sh starts it. "},
		"Node under npm":   {underNpm(t, addr), "off", "node (pid ", "npm starts it. Node takes connections from stickyd only if stickyd starts node itself"},
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, append([]string{"-l", "127.0.0.1:0", "-n", "3", "--log-format", "json", "--node-preload", tt.preload, "--"}, tt.command...)...)
			e := s.await("the worker has opened a port itself, so stickyd cannot pass connections to it", nil)
			if e.str("listens") != addr || !strings.HasPrefix(e.str("listener"), tt.listener) || e.str("hint") == "" {
				t.Errorf("%v", e)
			}
			if status := s.wait(); status != 1 {
				t.Error("exit status", status)
			}
			for _, want := range []string{tt.listener, "has opened " + addr + " itself", tt.want} {
				if !strings.Contains(s.lastLines(), want) {
					t.Errorf("no %q in %q", want, s.lastLines())
				}
			}
		})
	}
}

// lastLines is what was written after the log.
func (s *server) lastLines() string {
	out := s.output()
	return out[strings.LastIndex(out, "}\n")+1:]
}

// Of one copy it is not certain so soon: it may be a debugger's port.
func TestOneOrdinaryServerIsToldApart(t *testing.T) {
	t.Parallel() // it is ten seconds until stickyd gives up
	n := newNginx(t)
	s := launch(t, "-l", "127.0.0.1:0", "-n", "1", "--log-format", "json", "--", "nginx", "-g", "daemon off;", "-c", n.conf)
	e := s.await("the worker has opened a port itself, so stickyd cannot pass connections to it", nil)
	if !strings.HasPrefix(e.str("listener"), "nginx (pid ") {
		t.Errorf("%v", e)
	}
	if status := s.wait(); status != 1 || !strings.Contains(s.lastLines(), "cannot run this program yet") {
		t.Errorf("exit status %d: %s", status, s.lastLines())
	}
}

// With --on-crash-loop keep it is said, and no more.
func TestOrdinaryServersAreKept(t *testing.T) {
	plain, addr := plainGo(t)
	s := start(t, plain, "-n", "2", "--on-crash-loop", "keep", "--queue-timeout", "100ms")
	pid := s.await("the worker has opened a port itself, so stickyd cannot pass connections to it", nil).num("pid")
	s.awaitN(3, "worker died", nil)
	s.mustRefuse()
	if conn, err := net.Dial("tcp", addr); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	if !alive(pid) {
		t.Error("the one that serves was ended")
	}
}

// mustRefuse fails the test unless the answer is that nobody is there.
func (s *server) mustRefuse() {
	s.t.Helper()
	if r, err := s.get("/"); err != nil || r.status != 503 {
		s.t.Errorf("status %d, %v; want 503", r.status, err)
	}
}

// A worker may open a port for something else before it is ready.
func TestWorkerMayOpenAPortFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go")
	port := freeAddr(t)
	s := start(t, worker("opens-first", file, port), "-n", "2")
	pid := s.await("worker output", func(e event) bool { return strings.HasPrefix(e.str("line"), "debugging at ") }).num("pid")
	s.awaitN(2, "worker died", func(e event) bool { return e.num("pid") != pid })
	s.await("no worker has said yet that it is ready", nil) // later than everything else would be said
	touch(t, file)
	s.await("worker ready", func(e event) bool { return e.num("pid") == pid })
	s.mustGet("/whoami")
}

// Node with its code on the command line is no worker of Node's cluster module. The
// preload makes it one.
func TestNodeWithoutAScriptIsServed(t *testing.T) {
	t.Parallel()
	s := launch(t, "-l", "127.0.0.1:0", "-n", "2", "--log-format", "json", "--", "node", "-e",
		"require('http').createServer((req, res) => res.end(JSON.stringify({ pid: process.pid }))).listen(3000)")
	s.addr = s.await("listening", nil).str("addr")
	s.awaitN(2, "worker ready", nil)
	if s.mustGet("/").PID == 0 {
		t.Error("no worker of ours")
	}
}

func TestNodeWithoutAScriptIsToldSo(t *testing.T) {
	t.Parallel() // it is ten seconds until stickyd gives up
	code := fmt.Sprintf("require('http').createServer((req, res) => res.end()).listen('%s')", filepath.Join(t.TempDir(), "s"))
	s := launch(t, "-l", "127.0.0.1:0", "-n", "1", "--log-format", "json", "--node-preload", "off", "--", "node", "-e", code)
	if e := s.await("worker died", nil); strings.Contains(e.str("exit"), "signal") {
		t.Error("it died of stickyd: ", e.str("exit"))
	}
	if status := s.wait(); status != 1 || !strings.Contains(s.lastLines(), "put the code of node -e into a file") {
		t.Errorf("exit status %d: %s", status, s.lastLines())
	}
}
