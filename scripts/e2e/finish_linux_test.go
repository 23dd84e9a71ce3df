package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// nodeServer is a server in Node that has a connection to a database, a UDP
// socket and a child with pipes, and, when SIGTERM comes, something to save to a
// file, which takes a moment.
const nodeServer = `
	const http = require('http'), fs = require('fs'), net = require('net'), dgram = require('dgram')
	net.connect(process.env.DATABASE, '127.0.0.1')
	dgram.createSocket('udp4').bind({ port: 0, exclusive: true })
	require('child_process').spawn('cat')
	process.on('SIGTERM', () => setTimeout(() => {
		fs.writeFileSync(process.env.SAVED + process.env.STICKYD_WORKER, '')
		process.exit(0)
	}, 300))
	http.createServer((req, res) => {
		const until = new URL(req.url, 'http://x').searchParams.get('until')
		if (until === null) return res.end('{}')
		console.log('slow request began')
		const timer = setInterval(() => fs.existsSync(until) && (clearInterval(timer), res.end('{}')), 10)
	}).listen(0)
`

// nodeScript writes a script and returns the command that runs it.
func nodeScript(t *testing.T, text string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.js")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"node", path}
}

// database accepts connections and says nothing.
func database(t *testing.T) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

// patient is a stickyd that waits for ever for what it waits for: with it a test
// that ends has not waited.
var patient = []string{"--drain-timeout", "1h", "--stop-timeout", "1h"}

// hearsOut is the same server, but its channel stays open when it is to finish.
const hearsOut = "process.disconnect = () => {}\n" + nodeServer

// What a worker has open itself is no client: neither a connection to a database,
// nor a UDP socket, nor a child's pipes.
func TestOwnSocketsHoldUpNoStop(t *testing.T) {
	for name, command := range map[string][]string{
		"Node": nodeScript(t, nodeServer), "Node with its channel open": nodeScript(t, hearsOut), "native": worker("has-sockets"),
	} {
		for _, by := range []string{"stickyd stop", "SIGTERM"} {
			t.Run(name+", "+by, func(t *testing.T) {
				t.Parallel()
				saved := filepath.Join(t.TempDir(), "saved")
				s, _, control := controlled(t, 2, command, append(patient, "--env", "SAVED="+saved, "--env", "DATABASE="+database(t))...)
				if by == "SIGTERM" {
					s.signal(syscall.SIGTERM)
				} else {
					var asking sync.WaitGroup // it waits for the end
					asking.Go(func() { ask(t, "stop", control) })
					defer asking.Wait()
				}
				if status := s.wait(); status != 0 {
					t.Error("exit status", status)
				}
				for slot := 1; slot <= 2; slot++ {
					if _, err := os.Stat(fmt.Sprint(saved, slot)); err != nil {
						t.Error("its handler of SIGTERM was not heard out: ", err)
					}
				}
			})
		}
	}
}

// A client is: as long as one waits for an answer, its worker goes on.
func TestClientIsWaitedForBesideOwnSockets(t *testing.T) {
	for name, script := range map[string]string{"channel closed": nodeServer, "channel open": hearsOut} {
		for _, listen := range []string{"127.0.0.1:0", "unix:" + filepath.Join(socketDir(t), "s")} {
			t.Run(name+", "+listen[:4], func(t *testing.T) {
				t.Parallel()
				saved := filepath.Join(t.TempDir(), "saved")
				flags := append(patient, "--listen", listen, "--env", "SAVED="+saved, "--env", "DATABASE="+database(t))
				s, _ := startReady(t, 2, nodeScript(t, script), flags...)
				file := filepath.Join(t.TempDir(), "go")
				client, answer := s.beginSlowAt(listen, file)
				slot := s.await("worker output", isSlow).num("slot")
				s.signal(syscall.SIGTERM)
				s.stopsBehindClient(slot, saved, func() string {
					touch(t, file)
					defer client.Close()
					return <-answer
				})
			})
		}
	}
}

// beginSlowAt is beginSlow for a listener that may be a Unix socket; without one
// of its own the first has the address.
func (s *server) beginSlowAt(listen, file string) (client net.Conn, answer <-chan string) {
	s.t.Helper()
	network, addr := "tcp", s.addr
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		network, addr = "unix", path
	}
	client, err := net.Dial(network, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		fmt.Fprintf(client, "GET /?until=%s HTTP/1.1\r\nHost: x\r\n\r\n", file)
		buf := make([]byte, 100)
		n, _ := client.Read(buf)
		got <- string(buf[:n])
	}()
	return client, got
}

// An address that a reload has closed has clients still.
func TestClientOfAClosedListenerIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	saved, config := filepath.Join(dir, "saved"), filepath.Join(dir, "stickyd.toml")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(socketDir(t), "s")
	write(fmt.Sprintf("listen = [\"127.0.0.1:0\", \"unix:%s\"]\n", socket))
	control := filepath.Join(socketDir(t), "control.sock")
	args := append([]string{"--config", config, "--control", control, "--log-format", "json", "--log-level", "debug", "-n", "2",
		"--env", "SAVED=" + saved, "--env", "DATABASE=" + database(t)}, append(patient, "--")...)
	s := launch(t, append(args, nodeScript(t, nodeServer)...)...)
	s.awaitN(2, "worker ready", nil)
	file := filepath.Join(dir, "go")
	client, answer := s.beginSlowAt("unix:"+socket, file)
	slot := s.await("worker output", isSlow).num("slot")
	write("listen = [\"127.0.0.1:0\"]\n")
	mustAsk(t, "reload", control)
	mustAsk(t, "upgrade", control)
	s.signal(syscall.SIGTERM)
	s.stopsBehindClient(slot, saved, func() string {
		touch(t, file)
		defer client.Close()
		return <-answer
	})
}

// stopsBehindClient sees that stickyd, which is to stop, waits for the worker of that
// slot until its client has been served, which serve does, and for no other. saved is
// where workers note SIGTERM, less their slots.
func (s *server) stopsBehindClient(slot int, saved string, serve func() (answer string)) {
	s.t.Helper()
	s.await("worker stopped", func(e event) bool { return e.num("slot") != slot }) // which has none
	if _, err := os.Stat(fmt.Sprint(saved, slot)); err == nil {
		s.t.Error("its worker got SIGTERM as early as the other")
	}
	if got := serve(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		s.t.Errorf("the client got %q", got)
	}
	if status := s.wait(); status != 0 {
		s.t.Error("exit status", status)
	}
}

// A server that a shell started hears SIGTERM, though the shell dies of it at once,
// and its exit status is the worker's.
func TestServerUnderAShellIsHeardOut(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "saved")
	command := append([]string{"sh", "-c", `"$0" "$1"; true`}, nodeScript(t, nodeServer)...)
	s, _ := startReady(t, 2, command, append(patient, "--env", "SAVED="+saved, "--env", "DATABASE="+database(t))...)
	if r, err := s.get("/"); err != nil || r.status != http.StatusOK {
		t.Error(r.status, err)
	}
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
	for slot := 1; slot <= 2; slot++ {
		if _, err := os.Stat(fmt.Sprint(saved, slot)); err != nil {
			t.Error(err)
		}
	}
	for _, e := range s.awaitN(2, "worker stopped", nil) {
		if e.str("exit") != "exit status 0" {
			t.Errorf("it ended with %q", e.str("exit"))
		}
	}
}

// What it leaves behind has as much time as a worker, and no more.
func TestServerUnderAShellThatStaysIsKilled(t *testing.T) {
	command := append([]string{"sh", "-c", `"$@"; true`, "sh"}, worker("stubborn")...)
	s, pids := startReady(t, 1, command, "--drain-timeout", "50ms", "--stop-timeout", "300ms")
	server := childrenOf(t, pids[1])
	child := childOf(s, pids[1])
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
	s.await("worker's process has ended, what it started may finish", nil)
	s.await("worker did not stop in time, killing it", nil)
	if len(server) != 1 || alive(server[0].pid) || alive(child) {
		t.Errorf("of %v and %d there is something left", server, child)
	}
}

// A worker that dies unasked takes all of its group with it at once: a replacement
// may need what they hold.
func TestServerUnderAShellThatCrashesIsKilled(t *testing.T) {
	command := append([]string{"sh", "-c", `"$@"; true`, "sh"}, worker("stubborn")...)
	s, pids := startReady(t, 1, command, append(patient, "--hang-timeout", "0")...)
	server := childrenOf(t, pids[1])
	child := childOf(s, pids[1])
	syscall.Kill(pids[1], syscall.SIGKILL)
	awaitEnd(t, "what the shell had started", server[0].pid, child)
	s.await("worker ready", func(e event) bool { return e.num("pid") != pids[1] })
	s.killNow()
}

// The end of the conversation is often the first of a worker's end, and not the
// whole of it: some runtimes close it before they print what is wrong.
func TestLastWordsAfterTheChannelIsClosed(t *testing.T) {
	s := start(t, worker("closes-and-dies"), "-n", "1")
	e := s.await("worker died", nil)
	if e.str("exit") != "exit status 3" {
		t.Errorf("it died with %q", e.str("exit"))
	}
	s.await("worker output", func(e event) bool { return e.str("line") == "these were the last words" })
}

// Of a signal that stickyd has sent a worker does not die without a reason.
func TestWorkerThatClosesItsChannelAndGoesOn(t *testing.T) {
	for kind, want := range map[string]string{
		"closes-and-stays": "closed its channel to stickyd and was stopped: signal: terminated",
		"closes-and-exits": "closed its channel to stickyd and was stopped: exit status 5",
	} {
		t.Run(kind, func(t *testing.T) {
			s := start(t, worker(kind), "-n", "1")
			s.await("worker closed its channel to stickyd and goes on, sending SIGTERM", nil)
			if e := s.await("worker died", nil); e.str("exit") != want {
				t.Errorf("it died with %q, want %q", e.str("exit"), want)
			}
		})
	}
}

// In a container root may not look at other users' processes. A library that counts
// its clients does not need that.
func TestWorkerThatCannotBeSeenSaysThatItHasNoClient(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("STICKYD_BIN") != "" { // scripts/test runs as root
			t.Fatal("no root here, so no other user")
		}
		t.Skip("no root here, so no other user")
	}
	dir, err := os.MkdirTemp("/tmp", "stickyd-e2e-all-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	script := filepath.Join(dir, "server.js")
	const counts = `.on('connection', socket => socket.on('close', () => process.send({ type: 'stickyd:closed', n: 1 }))).listen(0)
		process.send({ type: 'stickyd:hello', version: 1 })`
	if err := os.WriteFile(script, []byte(strings.Replace(nodeServer, ".listen(0)", counts, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, script} {
		if err := os.Chmod(path, 0o777); err != nil { // where it saves something, too
			t.Fatal(err)
		}
	}
	control := filepath.Join(socketDir(t), "control.sock")
	args := append([]string{"--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", binary, "--poller", *poller,
		"--listen", "127.0.0.1:0", "--log-format", "json", "--control", control, "-n", "1", "--user", "4800", "--group", "4801",
		"--env", "SAVED=" + filepath.Join(dir, "saved"), "--env", "DATABASE=" + database(t)}, patient...)
	s := launchCommand(t, exec.Command("setpriv", append(args, "--", "node", script)...))
	s.addr = s.await("listening", nil).str("addr")
	s.await("worker ready", nil)
	if r, err := s.get("/"); err != nil || r.status != http.StatusOK {
		t.Error(r.status, err)
	}
	eventually(t, "the end of the connection", func() bool { return askStatus(t, control).Workers[0].Open == 0 })
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		t.Error("exit status", status)
	}
	if _, err := os.Stat(filepath.Join(dir, "saved1")); err != nil {
		t.Error(err)
	}
}
