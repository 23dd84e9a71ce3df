package nodeipc

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

// asks lets a server of the worker ask for a socket.
func (p *peer) asks(seq int, kind, address, port any, index, flags int) {
	p.t.Helper()
	p.sayCluster(object{{"act", "queryServer"}, {"address", address}, {"port", port}, {"addressType", kind}, {"index", index}, {"flags", flags}, {"seq", seq}})
}

// getsSocket checks that the server that asked with seq gets one, and returns
// the key.
func (p *peer) getsSocket(seq int) (key string) {
	p.t.Helper()
	o, fd := p.hearNext()
	m := o.inner("msg")
	if fd < 0 || o.text("type") != netNative || m.text("cmd") != "NODE_CLUSTER" || m.get("ack") != float64(seq) || m.get("errno") != 0.0 || m.text("key") == "" {
		p.t.Errorf("%d is answered %v", seq, o)
	}
	fdpass.Close(fd)
	p.ack()
	return m.text("key")
}

// isDoor checks that the server that asked with seq is to get the connections,
// and returns the key.
func (p *peer) isDoor(seq int) (key string) {
	p.t.Helper()
	o, _ := p.hearNext()
	if o.get("ack") != float64(seq) || o.get("errno") != nil || o.text("key") == "" {
		p.t.Errorf("%d is answered %v", seq, o)
	}
	return o.text("key")
}

// hearNext hears the next message that is no probe. Probes are closed, as by a
// worker in which nobody wants them, and counted.
func (p *peer) hearNext() (o object, fd int) {
	p.t.Helper()
	for {
		o, fd = p.hear()
		if o.inner("msg").text("data") != probeRequest {
			return o, fd
		}
		fdpass.Close(fd)
		p.ack()
		p.probes++
	}
}

func TestServersBesideTheDoorGetSockets(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			p := newPeer(t, s, nil)
			before := openDescriptors(t)
			p.asks(1, 4, "127.0.0.1", 3000, 0, 0)
			p.isDoor(1)
			var keys, opened []string
			for i, tt := range []struct {
				kind, address, port any
				flags               int
				opened              string
			}{
				{4, nil, 9100, 0, "tcp :9100"},
				{4, "127.0.0.1", 9100, 0, "tcp4 127.0.0.1:9100"},
				{6, "::", 9100, 0, "tcp [::]:9100"},
				{6, "::1", 9100, ipv6Only, "tcp6 [::1]:9100"},
				{-1, "/run/s", -1, 0, "unix /run/s"},
				{"udp4", "0.0.0.0", "53", 0, "udp4 0.0.0.0:53"},
				{"udp6", "::", 53, 0, "udp [::]:53"},
				{"udp6", "::", 53, ipv6Only, "udp6 [::]:53"},
			} {
				p.asks(2+i, tt.kind, tt.address, tt.port, 0, tt.flags)
				keys = append(keys, p.getsSocket(2+i))
				p.told.await("opened " + tt.opened)
				opened = append(opened, tt.opened)
			}
			p.asks(20, 4, nil, 9100, 1, 0)
			if o, _ := p.hear(); o.get("ack") != 20.0 || o.get("errno") != -float64(unix.EADDRINUSE) {
				t.Error("one that can't listen is told", o)
			}
			p.asks(21, nil, nil, 0, 0, 0) // listen({ fd })
			if o, _ := p.hear(); o.get("ack") != 21.0 || o.get("errno") != -95.0 {
				t.Error("one that wants to listen on a descriptor is told", o)
			}
			p.sayCluster(object{{"act", "close"}, {"key", keys[0]}, {"seq", 22}})
			p.told.await("released tcp :9100")
			if strings.Contains(p.told.all(), "leaving") {
				t.Error("a worker that closes such a server is taken to leave")
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors were open before, %d are now", before, after)
			}
			p.link.Close()
			for _, name := range opened { // in any order
				p.told.await("released " + name)
			}
			if n := strings.Count(p.told.all(), "released"); n != len(keys) {
				t.Errorf("%d sockets were given up, of %d", n, len(keys))
			}
		})
	}
}

func TestFirstServerIsTheDoorWhereNothingSaysWhich(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 4000, 0, 0)
	p.asks(2, 4, nil, 9100, 0, 0)
	p.isDoor(1)
	if p.probes < 2 {
		t.Errorf("decided after %d probes", p.probes)
	}
	p.getsSocket(2)
	p.told.await("listens :4000")
	p.sayCluster(object{{"act", "listening"}, {"address", nil}, {"port", 9100}, {"addressType", 4}, {"index", 0}, {"seq", 3}})
	p.link.Sync()
	if strings.Contains(p.told.all(), "ready") {
		t.Error("a worker is ready whose server has not said that it listens")
	}
	p.sayCluster(object{{"act", "listening"}, {"address", nil}, {"port", 4000}, {"addressType", 4}, {"index", 0}, {"seq", 4}})
	p.told.await("ready")
}

func TestServerThatListensWhereStickydDoesIsTheDoor(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 9100, 0, 0)
	p.link.Sync()
	p.asks(2, 4, "127.0.0.1", 3000, 0, 0)
	p.isDoor(2)
	p.getsSocket(1)
}

// Nobody listens to the message that brings what was read off a connection, but
// our library or setupWorker.
func TestServerThatCanNotReplayGetsNothingToReplay(t *testing.T) {
	for _, tt := range []struct {
		name string
		says object // of the worker, beside that its server listens
		ok   bool
	}{
		{"a server alone", object{{"type", "sticky:disconnection"}}, false},
		{"a library of ours", object{{"type", "stickyd:hello"}, {"version", 1}}, true},
		{"setupWorker", object{{"type", "sticky:connection"}, {"data", "id"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Advanced, nil)
			p.sayCluster(object{{"act", "online"}, {"seq", 0}})
			p.asks(1, 4, nil, 3000, 0, 0)
			p.isDoor(1)
			p.say(tt.says)
			p.link.Sync()
			_, socket := connect(t)
			err := p.link.Hand(workerproto.Connection{FD: socket, Replay: []byte("GET ")})
			if (err == nil) != tt.ok {
				t.Error("handed:", err)
			}
			if err != nil {
				p.hand(workerproto.Connection{FD: socket}) // not read from
			}
		})
	}
}

func TestServerThatListensWhereStickydDoesTakesOver(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 9100, 0, 0)
	p.isDoor(1)
	p.asks(2, 4, nil, 3000, 0, 0)
	key := p.isDoor(2)
	_, socket := connect(t)
	p.hand(workerproto.Connection{FD: socket})
	o, fd := p.hearNext()
	fdpass.Close(fd)
	if m := o.inner("msg"); m.text("act") != "newconn" || m.text("key") != key {
		t.Error("handed as", o)
	}
}

func TestNoServerIsTheDoorBesideSetupWorker(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 9100, 0, 0)
	_, fd := p.hear()
	p.ack()
	unix.Write(fd, []byte("HTTP/1.1 417"))
	fdpass.Close(fd)
	p.getsSocket(1)
	p.told.await("ready")
	p.asks(2, 4, nil, 9101, 0, 0)
	p.getsSocket(2)
	if strings.Contains(p.told.all(), "listens") {
		t.Error("told:", p.told.all())
	}
}

// A name would have to be looked up, and all would wait for that.
func TestServersListenOnAddressesAndNotOnNames(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	for i, kind := range []any{4, 6, "udp4", "udp6"} {
		p.asks(1+i, kind, "example.com", 9100, 0, 0)
		if o, _ := p.hear(); o.get("errno") != -95.0 {
			t.Errorf("%v is told %v", kind, o)
		}
	}
}

func TestSocketsOfAWorkerAreBounded(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	before := openDescriptors(t)
	for i := range maxShared {
		p.asks(1+i, "udp4", "127.0.0.1", 1+i, 0, 0)
		p.getsSocket(1 + i)
	}
	p.asks(999, "udp4", "127.0.0.1", 999, 0, 0)
	if o, _ := p.hear(); o.get("ack") != 999.0 || o.get("errno") != -float64(unix.EMFILE) {
		t.Error("one too many is told", o)
	}
	p.link.Sync()
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors were open before, %d are now", before, after)
	}
}

// A probe may be answered by a worker that then ends.
func TestNoSocketIsOpenedForAWorkerThatIsGone(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.asks(1, 4, nil, 9100, 0, 0)
	p.link.Close()
	p.link.read.Lock()
	p.link.shareUndecided()
	p.link.read.Unlock()
	if strings.Contains(p.told.all(), "opened") {
		t.Error("told:", p.told.all())
	}
}

func TestServersAreToldApart(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, "127.0.0.13", 3000, 0, 0)
	p.isDoor(1)
	p.sayCluster(object{{"act", "listening"}, {"address", "127.0.0.1"}, {"port", 33000}, {"addressType", 4}, {"index", 0}, {"seq", 2}})
	p.link.Sync()
	if strings.Contains(p.told.all(), "ready") {
		t.Error("ready because another server listens")
	}
}

// What is kept of servers that wait for an answer is bounded.
func TestTooManyServersWaitForAnAnswer(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	for i := range maxShared {
		p.asks(i+1, 4, nil, 4000+i, 0, 0)
	}
	p.asks(1000, 4, nil, 9100, 0, 0)
	if o, _ := p.hearNext(); o.get("ack") != 1000.0 || o.get("errno") != -float64(unix.EMFILE) {
		t.Error("one too many is told", o)
	}
	p.asks(1001, -1, "/"+strings.Repeat("x", maxListenName), -1, 0, 0)
	if o, _ := p.hearNext(); o.get("ack") != 1001.0 || o.get("errno") != float64(enotsup) {
		t.Error("one with too long a path is told", o)
	}
}
