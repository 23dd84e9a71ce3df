package nodeipc

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
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

// areDoorAndOther checks that of two servers one is to get the connections and the
// other a socket. They may be told in any order.
func (p *peer) areDoorAndOther(door, other int) {
	p.t.Helper()
	for range 2 {
		o, fd := p.hearNext()
		ack, want := o.get("ack"), door
		if fd >= 0 {
			fdpass.Close(fd)
			p.ack()
			ack, want = o.inner("msg").get("ack"), other
		}
		if ack != float64(want) {
			p.t.Errorf("%d is answered %v", want, o)
		}
	}
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
				{6, "::1", 9100, 1, "tcp6 [::1]:9100"},
				{-1, "/run/s", -1, 0, "unix /run/s"},
				{"udp4", "0.0.0.0", "53", 0, "udp4 0.0.0.0:53"},
				{"udp6", "::", 53, 0, "udp [::]:53"},
				{"udp6", "::", 53, 1, "udp6 [::]:53"},
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
			if n := strings.Count(p.told.all(), "released"); n != len(keys)+1 { // and the door
				t.Errorf("%d sockets were given up, of %d", n-1, len(keys))
			}
		})
	}
}

// A worker without a library of ours may yet call setupWorker.
func TestFirstServerIsTheDoorAfterTwoProbes(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 4000, 0, 0)
	p.asks(2, 4, nil, 9100, 0, 0)
	p.areDoorAndOther(1, 2)
	if p.probes < 2 {
		t.Errorf("decided after %d probes", p.probes)
	}
	p.told.await("claimed :4000")
	p.sayCluster(object{{"act", "listening"}, {"address", nil}, {"port", 9100}, {"addressType", 4}, {"index", 0}, {"seq", 3}})
	p.link.Sync()
	if strings.Contains(p.told.all(), "ready") {
		t.Error("a worker is ready whose server has not said that it listens")
	}
	p.listening(nil, 4, 4000)
	p.told.await("ready")
}

// Nothing is asked of an application whose worker has our library.
func TestFirstServerIsTheDoorAtOnceBesideALibrary(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello()
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.asks(1, 4, nil, 4000, 0, 0)
	p.isDoor(1)
	p.asks(2, 4, nil, 9100, 0, 0)
	p.getsSocket(2)
	p.listening(nil, 4, 4000)
	p.told.await("ready")
	if p.probes > 0 {
		t.Errorf("%d probes came", p.probes)
	}
}

// Programs that look for a free port listen for a moment.
func TestDoorThatClosesAtOnceIsNone(t *testing.T) {
	for _, after := range []bool{false, true} { // Node says that it listens
		p := newPeer(t, Advanced, nil)
		p.hello()
		p.asks(1, 4, nil, 4000, 0, 0)
		closes := object{{"act", "close"}, {"key", p.isDoor(1)}, {"seq", 2}}
		if !after {
			p.sayCluster(closes)
		}
		p.sayCluster(object{{"act", "listening"}, {"address", nil}, {"port", 4000}, {"addressType", 4}, {"index", 0}, {"seq", 3}})
		if after {
			_, fd := p.hearNext()
			fdpass.Close(fd)
			p.sayCluster(closes)
			p.ack()
		}
		p.told.await("released :4000 closed=true")
		p.link.Sync()
		if strings.Contains(p.told.all(), "ready") {
			t.Errorf("ready; the server closed after it had said that it listens: %t", after)
		}
		p.asks(4, 4, nil, 4000, 0, 0)
		p.isDoor(4)
		p.listening(nil, 4, 4000)
		p.told.await("ready")
	}
}

// The address that the worker sees is the one that clients connect to.
func TestServerIsToldItsAddress(t *testing.T) {
	for _, tt := range []struct {
		name          string
		kind, address any
		port          int
		want          string
	}{
		{"all addresses", 4, nil, 4000, "IPv6 [::]:4000"},
		{"any port", 4, nil, 0, "IPv6 [::]:33333"},
		{"one address", 4, "127.0.0.1", 4000, "IPv4 127.0.0.1:4000"},
		{"one of IPv6", 6, "::1", 4000, "IPv6 [::1]:4000"},
		{"a path", -1, "/run/s", -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Advanced, nil)
			p.hello()
			p.asks(1, tt.kind, tt.address, tt.port, 0, 0)
			o, _ := p.hear()
			at, got := o.inner("sockname"), ""
			if at != nil {
				port, _ := at.number("port")
				got = at.text("family") + " " + net.JoinHostPort(at.text("address"), strconv.Itoa(port))
			}
			if got != tt.want {
				t.Errorf("told %q, want %q", got, tt.want)
			}
			if at == nil {
				return
			}
			bound, _ := at.number("port") // what it says from then on
			p.listening(tt.address, tt.kind.(int), bound)
			p.told.await("ready")
		})
	}
}

func TestServerIsToldThatItsAddressCanNotBeHad(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello()
	p.asks(1, 4, nil, 1, 0, 0)
	if o, _ := p.hear(); o.get("ack") != 1.0 || o.get("errno") != -float64(unix.EADDRINUSE) {
		t.Error("told", o)
	}
	p.told.await("released :1 closed=true")
	if got := p.link.Refusal(); got != "cannot listen: address already in use" {
		t.Errorf("the reason is %q", got)
	}
	p.asks(2, 4, nil, 4000, 0, 0) // the next one gets the connections
	p.isDoor(2)
	if got := p.link.Refusal(); got != "" {
		t.Errorf("of one that listens now the reason is %q", got)
	}
}

// Each server gets the connections of its own address: those of both families of a
// host's, of two ports, and of both families of all.
func TestSeveralServersGetConnections(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello()
	p.asks(1, 6, "::1", 3000, 0, 0)
	six := p.isDoor(1)
	p.asks(2, 4, "127.0.0.1", 3000, 0, 0)
	four := p.isDoor(2)
	p.link.write.Lock()
	doors := slices.Clone(p.link.doors)
	p.link.write.Unlock()
	for _, tt := range []struct {
		at, want string
	}{
		{"127.0.0.1:3000", four},
		{"[::1]:3000", six},
	} {
		best, most := "", 0
		for _, d := range doors {
			if n := d.fits(netip.MustParseAddrPort(tt.at), ""); n > most {
				best, most = d.key, n
			}
		}
		if best != tt.want {
			t.Errorf("%s is for %q, want %q", tt.at, best, tt.want)
		}
	}
	// Of a client that came to neither, the first is the server.
	_, socket := connect(t)
	p.hand(workerproto.Connection{FD: socket})
	o, fd := p.hearNext()
	fdpass.Close(fd)
	if key := o.inner("msg").text("key"); key != six {
		t.Errorf("handed to %q, want %q", key, six)
	}
}

func TestConnectionGoesToTheServerAtItsPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct {
		kind, address any
	}{{4, nil}, {4, "0.0.0.0"}, {4, "127.0.0.1"}} {
		p := newPeer(t, Advanced, nil)
		p.hello()
		p.asks(1, 4, "127.0.0.1", 3000, 0, 0)
		p.isDoor(1)
		host, _ := tt.address.(string)
		p.link.addDoor(&server{listen: listen{Key: "other"}, At: clientsAt(net.JoinHostPort(host, strconv.Itoa(port)))})
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := accepted.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) { p.hand(workerproto.Connection{FD: dup(t, int(fd))}) })
		accepted.Close()
		o, fd := p.hearNext()
		fdpass.Close(fd)
		if key := o.inner("msg").text("key"); key != "other" {
			t.Errorf("%v: handed to %q", tt, key)
		}
	}
}

// Where stickyd was told where clients connect, a server that listens there gets
// them, and not one that listened before it somewhere else.
func TestServerThatListensWhereStickydDoesIsTheDoor(t *testing.T) {
	for _, helped := range []bool{false, true} {
		p := newPeer(t, Advanced, nil)
		p.elsewhere.Store(true)
		if helped {
			p.hello()
		}
		p.sayCluster(object{{"act", "online"}, {"seq", 0}})
		p.asks(1, 4, nil, 9100, 0, 0)
		p.link.Sync()
		p.asks(2, 4, "127.0.0.1", 3000, 0, 0)
		p.areDoorAndOther(2, 1)
	}
}

// Also one that listens there long after.
func TestServerThatListensWhereStickydDoesTakesOver(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.elsewhere.Store(true)
	p.hello()
	p.asks(1, 4, nil, 9100, 0, 0)
	p.isDoor(1)
	p.listening(nil, 4, 9100)
	p.told.await("ready")
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

// One that waited long enough gets them, all others sockets.
func TestServerElsewhereIsTheDoorAfterAMoment(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.elsewhere.Store(true)
	p.hello()
	p.asks(1, 4, nil, 4000, 0, 0)
	p.asks(2, 4, nil, 9100, 0, 0)
	p.areDoorAndOther(1, 2)
	p.asks(3, 4, nil, 9101, 0, 0)
	p.getsSocket(3)
}

// A server that speaks TLS gets connections as well, and the data that the first
// of its like in any worker has sent along.
func TestServerThatSpeaksTLS(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			hub := NewHub()
			p, q := newPeer(t, s, hub), newPeer(t, s, hub)
			for i, o := range []*peer{p, q} {
				o.hello()
				o.asks(1, 4, nil, 4000, 0, 0)
				o.isDoor(1)
				o.sayCluster(object{{"act", "queryServer"}, {"address", nil}, {"port", 3443}, {"addressType", 4}, {"index", 0}, {"seq", 2},
					{"data", object{{"ticketKeys", fmt.Sprint("of ", i)}}}})
				answer, _ := o.hear()
				if answer.get("ack") != 2.0 || answer.inner("data").text("ticketKeys") != "of 0" {
					t.Errorf("%d is told %v", i, answer)
				}
				o.told.await("claimed :3443 tls=true")
			}
			p.asks(3, 4, nil, 9100, 0, 0)
			p.getsSocket(3)
		})
	}
}

// Nobody listens to the message that brings what was read off a connection, but
// our library or setupWorker.
func TestServerThatCanNotReplayGetsNothingToReplay(t *testing.T) {
	for _, tt := range []struct {
		name string
		says func(p *peer) // beside that its server listens
		ok   bool
	}{
		{"a server alone", func(p *peer) { p.say(object{{"type", "sticky:disconnection"}}) }, false},
		{"a library of ours", func(p *peer) { p.hello() }, true},
		{"setupWorker", func(p *peer) { p.say(object{{"type", "sticky:connection"}, {"data", "id"}}) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Advanced, nil)
			p.sayCluster(object{{"act", "online"}, {"seq", 0}})
			p.asks(1, 4, nil, 3000, 0, 0)
			p.isDoor(1)
			tt.says(p)
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

// setupWorker that comes too late gets the connections nevertheless, but for those
// of a server that listens where clients connect.
func TestSetupWorkerThatComesLate(t *testing.T) {
	for _, tt := range []struct {
		port int
		want string
	}{{9100, "sticky:connection"}, {3000, ""}} {
		p := newPeer(t, Advanced, nil)
		p.elsewhere.Store(true)
		p.hello()
		p.asks(1, 4, nil, tt.port, 0, 0)
		p.isDoor(1)
		p.sayOurs("adopts")
		p.told.await("ready")
		_, socket := connect(t)
		p.hand(workerproto.Connection{FD: socket})
		o, fd := p.hear()
		fdpass.Close(fd)
		if got := o.inner("msg").text("type"); got != tt.want {
			t.Errorf("port %d: handed as %v", tt.port, o)
		}
	}
}

// Where setupWorker is loaded a server waits for its being called.
func TestNoServerIsTheDoorWhereSetupWorkerIsExpected(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello()
	p.sayOurs("expects")
	p.asks(1, 4, nil, 9100, 0, 0)
	p.silent()
	p.sayOurs("adopts")
	p.getsSocket(1)
	p.told.await("ready")
	if strings.Contains(p.told.all(), "claimed") {
		t.Error("told:", p.told.all())
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
	if strings.Contains(p.told.all(), "claimed") {
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
	for i := range maxServers {
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
	p.link.adopts.Store(true)
	p.link.decideOthers()
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
	for i := range maxServers {
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
