package workerproto

import (
	"net"
	"testing"
	"time"

	"github.com/stickyd/stickyd/fdpass"
)

// BenchmarkAccept takes connections that come in batches, from the control
// socket to Close. An operation is a connection.
func BenchmarkAccept(b *testing.B) {
	const batch = 32
	w, p := startWorker(b)
	id := uint64(0)
	var used time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		b.StopTimer()
		n := min(left, batch)
		clients := p.handBatch(id, n)
		p.awaitQueued(w, n)
		id += uint64(n)
		b.StartTimer()
		before := cpuTime()
		conns := make([]net.Conn, n)
		for i := range conns {
			var err error
			if conns[i], err = w.Accept(); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range conns {
			c.Close()
		}
		used += cpuTime() - before
		b.StopTimer()
		for _, c := range clients {
			c.Close()
		}
		for ok := true; ok; {
			_, ok = p.heard()
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "CPU-µs/op")
}

// handBatch sends n connections in one message and returns the clients' ends.
func (p *supervisor) handBatch(after uint64, n int) (clients []*net.TCPConn) {
	var frames []byte
	var fds []int
	for i := range n {
		client, fd := connect(p.t)
		clients = append(clients, client)
		frames = append(frames, appendConn(nil, Conn, 0, after+uint64(i)+1, nil)...)
		fds = append(fds, fd)
	}
	setDescriptors(frames, n)
	p.say(frames, fds...)
	fdpass.CloseAll(fds)
	return clients
}

// awaitQueued waits until n connections are there to be accepted.
func (p *supervisor) awaitQueued(w *Worker, n int) {
	for len(w.queue) < n {
		time.Sleep(10 * time.Microsecond)
	}
}
