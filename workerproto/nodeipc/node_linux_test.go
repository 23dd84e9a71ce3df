package nodeipc

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

// matcher says of each connection what came with it, and whose it is.
const matcher = `
process.on('message', (message, socket) => {
  if (message.type === 'block') for (const end = Date.now() + 500; Date.now() < end;);
  if (message.type !== 'sticky:connection' || !message.stickyd) return;
  process.send({ type: 'sticky:connection', data: Buffer.from(message.data) + ' ' + socket.remotePort });
  socket.destroy();
});
process.send({ type: 'sticky:connection', data: 'started' });
`

// startNode runs a script as a worker, with a link to it.
func startNode(t *testing.T, script string) (*Link, *recorder) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed")
	}
	path := filepath.Join(t.TempDir(), "worker.js")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	near, child, err := fdpass.Pair(nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, path)
	cmd.Env = append(os.Environ(), "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=advanced", "NODE_UNIQUE_ID=1")
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child.Close()
	told := newRecorder(t)
	l := NewLink(near, workerproto.Terms{Incarnation: 1}, told,
		Options{Serialization: Advanced, Hub: NewHub(), Log: slog.New(slog.DiscardHandler)})
	var running sync.WaitGroup
	running.Go(func() { l.Run() })
	t.Cleanup(func() {
		for _, c := range l.Close() {
			fdpass.Close(c.FD)
		}
		running.Wait()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return l, told
}

// The read of a worker that was busy ends inside the message that brings a
// connection. The next connection's descriptor must not be there yet: it would
// become the first one's.
func TestNodeMatchesConnectionsAndMessages(t *testing.T) {
	l, told := startNode(t, matcher)
	told.await("bind started")
	l.stopProbe()
	one := len(l.connectionLocked(workerproto.Connection{Replay: []byte("connection 10")}).frame)
	padding := func(n int) []byte { return l.codec.encode(object{{"pad", make([]byte, n)}}) }
	overhead := len(padding(receiveSize)) - receiveSize
	for cut := 0; cut < one; cut += 8 { // where the read ends
		l.send(object{{"type", "block"}})
		l.relay(padding(receiveSize - overhead - cut))
		var want []string
		for i := range 4 {
			client, socket := connect(t)
			name := fmt.Sprintf("connection %d%d", i, cut)
			if err := l.Hand(workerproto.Connection{FD: socket, Session: true, Replay: []byte(name)}); err != nil {
				t.Fatal(err)
			}
			l.Flush()
			want = append(want, fmt.Sprintf("bind %s %d", name, client.LocalAddr().(*net.TCPAddr).Port))
		}
		for _, line := range want {
			told.await(line)
		}
	}
	if n := strings.Count(told.all(), "bind connection"); n != 4*((one+7)/8) {
		t.Errorf("%d connections arrived:\n%s", n, told.all())
	}
}
