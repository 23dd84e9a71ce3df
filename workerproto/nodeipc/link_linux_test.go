package nodeipc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

var serializations = []Serialization{JSON, Advanced}

func TestProbeIsRepeatedUntilOneIsAnswered(t *testing.T) {
	before := openDescriptors(t)
	p := newPeer(t, Advanced, nil)
	p.silent() // before Node runs there is nobody to ask
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	for range 2 {
		o, fd := p.hear()
		if m := o.inner("msg"); o.text("type") != netSocket || m.text("type") != "sticky:connection" || m.text("data") != probeRequest {
			t.Fatal("the probe is", o)
		}
		p.silent() // one at a time, however long it takes
		p.ack()
		if n, err := unix.Read(fd, make([]byte, 1)); n > 0 || err != unix.EAGAIN {
			t.Errorf("the probe's socket has %d bytes in it, %v", n, err)
		}
		fdpass.Close(fd)
	}
	o, fd := p.hear()
	if fd < 0 {
		t.Fatal("no third probe, but", o)
	}
	p.ack()
	unix.Write(fd, []byte("HTTP/1.1 417"))
	p.told.await("ready")
	fdpass.Close(fd)
	p.silent()
	if _, ok := p.link.UntakenSince(); ok {
		t.Error("a probe counts as a connection that is not taken")
	}
	p.link.Close()
	<-p.ran
	p.conn.Close()
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors were open before, %d are now", before, after)
	}
}

func TestLinkHandsConnections(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			p := newPeer(t, s, nil)
			p.start()
			client, socket := connect(t)
			client.Write([]byte("unread"))
			p.hand(workerproto.Connection{FD: dup(t, socket)})
			p.hand(workerproto.Connection{FD: dup(t, socket), Session: true})
			for _, session := range []bool{false, true} {
				o, fd := p.hear()
				if m := o.inner("msg"); o.text("type") != netSocket || m.text("type") != "sticky:connection" || m.get("data") != "" || (m.get("stickyd") != nil) != session {
					t.Error("handed as", o)
				}
				buf := make([]byte, 16)
				if n, _, err := unix.Recvfrom(fd, buf, unix.MSG_PEEK); string(buf[:max(n, 0)]) != "unread" {
					t.Errorf("the connection has %q, %v", buf[:max(n, 0)], err)
				}
				fdpass.Close(fd)
			}
			if at, ok := p.link.UntakenSince(); !ok || time.Since(at) > deadline {
				t.Error("nothing untaken, before the ACK")
			}
			before := openDescriptors(t)
			p.ack()
			p.ack()
			p.told.await("taken 1\ntaken 1")
			if after := openDescriptors(t); after != before-2 {
				t.Errorf("%d descriptors before the ACKs, %d after: copies are kept", before, after)
			}
			p.say(object{{"type", "sticky:connection"}, {"data", "s1"}})
			p.say(object{{"type", "sticky:connection"}, {"data", "s2"}})
			p.say(object{{"type", "sticky:disconnection"}, {"data", "s1"}})
			p.told.await("bind s1\nsettled 1\nbind s2\nunbind s1") // one counted as load

			p.hand(workerproto.Connection{FD: dup(t, socket), Replay: []byte("GET \xff")})
			o, fd := p.hear()
			fdpass.Close(fd)
			m := o.inner("msg")
			if s == Advanced && !bytes.Equal(m.get("data").([]byte), []byte("GET \xff")) || m.get("stickyd") == nil {
				t.Error("a replay is handed as", o)
			}
			fdpass.Close(socket)
		})
	}
}

// What the limits on pipelining protect from is tested with Node itself; this
// tests the limits.
func TestParcelsWaitForTheAcknowledgement(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	_, socket := connect(t)
	hand := func(replay int) {
		p.hand(workerproto.Connection{FD: dup(t, socket), Session: true, Replay: make([]byte, replay)})
	}
	hear := func(n int) {
		t.Helper()
		for range n {
			_, fd := p.hear()
			if fd < 0 {
				t.Fatal("no descriptor")
			}
			fdpass.Close(fd)
		}
	}
	hand(0)
	hand(20_000) // too long to go beside another
	hand(0)
	hear(1)
	p.silent()
	p.ack()
	hear(1)
	p.silent()
	p.ack()
	hear(1)
	p.ack()
	p.told.await("taken 1\ntaken 1\ntaken 1")

	for range 20 { // of 7,000 bytes each: nine fit 64 KiB
		hand(7000)
	}
	hear(9)
	p.silent()
	for range 9 {
		p.ack()
	}
	hear(9)
	p.silent()
	for range 9 {
		p.ack()
	}
	hear(2)
	p.ack()
	p.ack()

	p.link.relay(p.link.codec.encode(object{{"x", strings.Repeat("x", 70_000)}}))
	hand(0)
	hand(0) // there is too much before the first
	p.hear()
	hear(1)
	p.silent()
	p.ack()
	hear(1)
	p.ack()
	fdpass.Close(socket)
}

// Deno gives a descriptor to the first message of a read: none may come behind
// another message before that was read.
func TestParcelsOfDenoGoApart(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello(member{"runtime", "deno"})
	p.sayOurs("adopts")
	p.told.await("ready")
	_, socket := connect(t)
	for range 3 {
		p.link.relay(p.link.codec.encode(object{{"plain", true}}))
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		p.link.Sync()
		if _, err := p.stream.receive(); err != nil || len(p.stream.fds) > 0 {
			t.Fatalf("%d descriptors came with a message that has none, %v", len(p.stream.fds), err)
		}
		p.hear()
		for range 2 {
			_, fd := p.hear()
			fdpass.Close(fd)
			p.ack()
		}
	}
	p.told.await("taken 1\ntaken 1\ntaken 1\ntaken 1\ntaken 1\ntaken 1")
	fdpass.Close(socket)
}

// An acknowledgement that never comes costs the connection that it was for, which
// goes to another worker, and no other.
func TestLostAcknowledgementIsMadeUpFor(t *testing.T) {
	for _, answered := range []int{1, 2} { // the connection whose answer tells of the loss
		p := newPeer(t, Advanced, nil)
		p.hello()
		p.asks(1, 4, nil, 4000, 0, 0)
		p.isDoor(1)
		p.listening(nil, 4, 4000)
		p.told.await("ready")
		_, socket := connect(t)
		var seqs []any
		for i := range 4 {
			p.hand(workerproto.Connection{FD: dup(t, socket), Refusals: i})
			o, fd := p.hear()
			fdpass.Close(fd)
			seqs = append(seqs, o.inner("msg").get("seq"))
			if i > 0 { // the first is lost
				p.ack()
			}
		}
		for i := range 3 {
			if i+1 >= answered {
				p.sayCluster(object{{"ack", seqs[i+1]}, {"accepted", true}, {"seq", 9}})
			}
		}
		p.told.await(strings.Repeat("taken 1\n", 3-answered) + "taken 1")
		p.link.Sync()
		if n := strings.Count(p.told.all(), "declined"); n != answered || p.told.conns[0].Refusals != 0 {
			t.Errorf("%d are given back, want %d, the first one first: %+v", n, answered, p.told.conns)
		}
		if at, ok := p.link.UntakenSince(); ok {
			t.Error("one still waits, since", at)
		}
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		o, fd := p.hear()
		fdpass.Close(fd)
		p.ack()
		p.sayCluster(object{{"ack", o.inner("msg").get("seq")}, {"accepted", true}, {"seq", 9}})
		p.told.await(strings.Repeat("taken 1\n", 4-answered))
		fdpass.Close(socket)
	}
}

// A worker may say itself when it is ready: as PM2 has it, or through our library.
func TestWorkerThatSaysWhenItIsReady(t *testing.T) {
	for _, s := range serializations {
		for name, tt := range map[string]struct {
			option, held bool
			say          func(p *peer)
		}{
			"process.send('ready')": {true, false, func(p *peer) {
				p.sayRaw(map[Serialization][]byte{JSON: []byte("\"ready\"\n"), Advanced: []byte("\x00\x00\x00\x09\xff\x0f\"\x05ready")}[s])
			}},
			"worker.ready()":                    {true, false, func(p *peer) { p.sayOurs("ready") }},
			"holdReady and then worker.ready()": {false, true, func(p *peer) { p.sayOurs("ready") }},
			"worker.ready() before it is asked": {false, false, func(p *peer) {}},
		} {
			t.Run(string(s)+" "+name, func(t *testing.T) {
				p := newPeer(t, s, nil)
				p.link.read.Lock()
				p.link.waitReady = tt.option
				p.link.read.Unlock()
				p.hello(member{"hold", tt.held})
				if !tt.option && !tt.held {
					p.sayOurs("ready")
				}
				p.asks(1, 4, nil, 4000, 0, 0)
				p.isDoor(1)
				p.listening(nil, 4, 4000)
				p.link.Sync()
				if early := strings.Contains(p.told.all(), "ready"); early && (tt.option || tt.held) {
					t.Error("ready before it has said so")
				}
				tt.say(p)
				p.told.await("ready")
			})
		}
	}
}

// A launcher leaves the channel to the program that it starts.
func TestWrapperPassesTheChannelOn(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	_, fd := p.hear() // without our preload one would look for setupWorker
	fdpass.Close(fd)
	p.ack()
	p.sayOurs("wrapper", member{"name", "npm"}, member{"passes", true})
	p.link.Sync()
	if hint := p.link.Hint(); !strings.Contains(hint, "npm") {
		t.Error("the hint is", hint)
	}
	p.sayCluster(object{{"act", "online"}, {"seq", 0}})
	p.hello(member{"pid", 815})
	p.asks(1, 4, nil, 4000, 0, 0)
	p.isDoor(1)
	p.listening(nil, 4, 4000)
	p.told.await("ready")
	if pid := p.link.Process(); pid != 815 {
		t.Error("it is process", pid, "that speaks")
	}
}

func TestLostDescriptorIsSentAgain(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	_, socket := connect(t)
	p.hand(workerproto.Connection{FD: socket, Refusals: 5})
	for range 1 + maxNacks {
		if _, fd := p.hear(); fd < 0 {
			t.Fatal("no descriptor")
		} else {
			fdpass.Close(fd)
		}
		p.nack()
	}
	p.told.await(`declined ""`)
	p.silent()
	if n := p.link.load.settle(1); n != 0 {
		t.Error("a connection that the worker never had counts as its load")
	}
	if c := p.told.conns[0]; c.FD != socket || c.Refusals != 5 {
		t.Errorf("declined %+v", c)
	}
}

func TestCloseReturnsWhatWasNotTaken(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	_, socket := connect(t)
	const n = 20
	for range n {
		p.hand(workerproto.Connection{FD: dup(t, socket), Replay: make([]byte, 7000)})
	}
	for range 3 {
		p.ack() // in the socket when Close is called
	}
	orphans := p.link.Close()
	if len(orphans) != n-3 {
		t.Errorf("%d connections come back, want %d", len(orphans), n-3)
	}
	for _, c := range orphans {
		fdpass.Close(c.FD)
	}
	if again := p.link.Close(); len(again) != 0 {
		t.Errorf("%d connections come back twice", len(again))
	}
	if err := p.link.Hand(workerproto.Connection{FD: socket}); err != workerproto.ErrEnded {
		t.Error("Hand after Close:", err)
	}
	fdpass.Close(socket)
	if err := <-p.ran; err != nil {
		t.Error("ended with", err)
	}
}

func TestOwnLibraryHasMoreToSay(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	if !p.link.RegistersLate() {
		t.Error("a published library registers late")
	}
	p.hello()
	p.sayOurs("early")
	p.link.Sync()
	if p.link.RegistersLate() {
		t.Error("ours does not")
	}
	_, socket := connect(t)
	for range 3 {
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		_, fd := p.hear()
		fdpass.Close(fd)
		p.ack()
	}
	p.sayOurs("bind", member{"id", "a"}, member{"adopted", 1})
	p.sayOurs("bind", member{"id", "b\u00e9"}, member{"adopted", 0})
	for _, id := range []any{7.0, "", "\u0100", nil} {
		p.sayOurs("bind", member{"id", id})
	}
	p.sayOurs("unbind", member{"ids", []any{"a"}})
	p.sayOurs("closed", member{"n", 100}) // more than there are
	p.told.await("bind a\nsettled 1\nbind b\xe9\nunbind a\nsettled 2")
	p.hears("settled")
	p.link.Drain(1500*time.Millisecond, false)
	if o, _ := p.hear(); o.text("cmd") != ours || o.text("act") != "drain" || o.get("limit") != 1500.0 || o.get("finish") != false {
		t.Error("drain is", o)
	}
	p.link.Drain(time.Second, true)
	if o, _ := p.hear(); o.text("act") != "drain" || o.get("finish") != true {
		t.Error("the end is", o)
	}
	fdpass.Close(socket)
}

func TestOwnLibraryIsToldOfRefusals(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			p := newPeer(t, s, nil)
			p.say(object{{"type", "sticky:connection"}, {"data", "taken0"}})
			p.told.await("bind taken0")
			p.silent() // a published library would not know
			p.hello()
			p.sayOurs("bind", member{"ids", []any{"a", "taken1", "b", "taken\u00fe"}}) // as a library of before
			p.hears("settled")
			p.sayOurs("bind", member{"id", "taken2"})
			for _, want := range [][]any{{"taken1", "taken\u00fe"}, {"taken2"}} {
				o, _ := p.hear()
				if refused, _ := o.get("ids").([]any); o.text("act") != "refused" || !slices.Equal(refused, want) {
					t.Error("told", o)
				}
			}
			p.silent()
		})
	}
}

func TestCloseWhileHalfOfAMessageIsSent(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	_, socket := connect(t)
	p.link.relay(make([]byte, 8<<20)) // more than the socket holds
	p.hand(workerproto.Connection{FD: socket})
	orphans := p.link.Close()
	if len(orphans) != 1 || orphans[0].FD != socket {
		t.Error("these come back:", orphans)
	}
	fdpass.CloseAll([]int{socket})
	if err := <-p.ran; err != nil {
		t.Error("ended with", err)
	}
}

func TestWorkerIsNotStuckWhileItTakes(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	_, socket := connect(t)
	for range 2 {
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		_, fd := p.hear()
		fdpass.Close(fd)
	}
	fdpass.Close(socket)
	handed, _ := p.link.UntakenSince()
	p.ack()
	p.told.await("taken 1")
	if took, ok := p.link.UntakenSince(); !ok || !took.After(handed) {
		t.Errorf("it took one and waits for the next since %v, %t; before that since %v", took, ok, handed)
	}
	p.ack()
	p.told.await("taken 1\ntaken 1")
	if _, ok := p.link.UntakenSince(); ok {
		t.Error("something waits")
	}
}

func TestWorkerGivesConnectionsBack(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			p := newPeer(t, s, nil)
			p.start()
			_, socket := connect(t)
			back := func(data any, fds ...int) {
				t.Helper()
				p.say(object{{"cmd", "NODE_HANDLE"}, {"type", netNative}, {"msg", object{{"cmd", ours}, {"act", "return"}, {"data", data}}}}, fds...)
				want := "NODE_HANDLE_ACK"
				if len(fds) == 0 {
					want = "NODE_HANDLE_NACK"
				}
				if o, _ := p.hear(); o.text("cmd") != want {
					t.Error("answered by", o)
				}
			}
			back("R0VUIP8=") // lost on the way
			back("R0VUIP8=", socket)
			p.told.await(`returned "GET \xff" session=false`)
			if s == Advanced {
				back([]byte("GET \xfe"), socket)
				p.told.await(`returned "GET \xfe" session=false`)
			}
			before := openDescriptors(t)
			pipe := make([]int, 2)
			unix.Pipe(pipe)
			back("nonsense!", socket)
			back(nil, socket)
			back("", pipe[0]) // no socket
			p.say(object{{"cmd", "NODE_HANDLE"}, {"type", netSocket}, {"msg", object{{"type", "what"}}}}, socket)
			p.hear()
			fdpass.CloseAll(pipe)
			p.link.Sync()
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors were open before, %d are now", before, after)
			}
			fdpass.Close(socket)
		})
	}
}

func TestWorkerThatListens(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.asks(1, 4, nil, 3000, 0, 0)
	o, _ := p.hear()
	key := o.text("key")
	at := o.inner("sockname")
	if o.get("ack") != 1.0 || key == "" || o.get("errno") != nil || at.get("port") != 3000.0 || at.text("family") != "IPv6" || at.text("address") != "::" {
		t.Error("answered", o)
	}
	p.told.await("claimed :3000")
	p.listening(nil, 4, 3000)
	p.told.await("ready")

	_, socket := connect(t)
	for i, accepted := range []bool{true, false} {
		p.hand(workerproto.Connection{FD: dup(t, socket)})
		o, fd := p.hear()
		fdpass.Close(fd)
		m := o.inner("msg")
		if o.text("type") != netNative || m.text("act") != "newconn" || m.text("key") != key {
			t.Error("handed as", o)
		}
		p.ack()
		p.link.Sync()
		if _, ok := p.link.UntakenSince(); !ok || strings.Count(p.told.all(), "taken") > i {
			t.Error("taken before it was accepted")
		}
		p.sayCluster(object{{"ack", m.get("seq")}, {"accepted", accepted}, {"seq", 4 + i}})
		p.told.await([]string{"taken 1", `declined ""`}[i])
	}
	fdpass.Close(socket)
}

// Without a server that listens a worker can't be reached, until one does again.
func TestWorkerThatListensNoMoreAndThenAgain(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.hello()
	p.asks(1, 4, nil, 4000, 0, 0)
	key := p.isDoor(1)
	p.listening(nil, 4, 4000)
	p.told.await("ready")
	_, socket := connect(t)
	p.hand(workerproto.Connection{FD: dup(t, socket), Session: true, Replay: make([]byte, 10_000)})
	p.hand(workerproto.Connection{FD: dup(t, socket), Session: true, Replay: make([]byte, 10_000)})
	o, fd := p.hear()
	if m := o.inner("msg"); o.text("type") != netSocket || m.text("cmd") != ours || m.text("act") != "connection" || m.text("key") != key || m.get("final") != true {
		t.Error("what was read from is handed as", o)
	}
	fdpass.Close(fd)
	p.sayCluster(object{{"act", "close"}, {"key", key}, {"seq", 6}})
	p.told.await("released :4000 closed=true\nunreachable\ndeclined") // the one that was not sent
	if err := p.link.Hand(workerproto.Connection{FD: socket}); err != errNobody {
		t.Error("Hand while nobody listens:", err)
	}
	p.ack()
	p.asks(7, 4, nil, 4000, 0, 0)
	again := p.isDoor(7)
	p.listening(nil, 4, 4000)
	p.told.await("reachable\n") // or that would be a part of the other word
	p.hand(workerproto.Connection{FD: dup(t, socket)})
	o, fd = p.hear()
	if m := o.inner("msg"); m.text("key") != again || again == key {
		t.Error("handed as", o)
	}
	fdpass.Close(fd)
	if n := strings.Count(p.told.all(), "\nready"); n != 1 {
		t.Errorf("ready %d times", n)
	}
	fdpass.Close(socket)
}

func TestWorkerLeaves(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	p.sayCluster(object{{"act", "exitedAfterDisconnect"}, {"seq", 9}})
	if o, _ := p.hear(); o.get("ack") != 9.0 {
		t.Error("answered", o)
	}
	p.told.await("leaving")
	p.conn.Close()
	if err := <-p.ran; !errors.Is(err, workerproto.ErrLeft) {
		t.Error("ended with", err)
	}
}

// The application may use the channel until its end, as under Node's own primary:
// to end it would be to kill an application that does, in the middle of its
// clients' requests.
func TestDrainLeavesTheChannelOpen(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	_, socket := connect(t)
	p.link.Drain(time.Second, false)
	p.silent() // a published library would not know
	p.hand(workerproto.Connection{FD: dup(t, socket)})
	p.hand(workerproto.Connection{FD: dup(t, socket), Replay: make([]byte, 10_000)})
	p.link.Drain(time.Second, true)
	p.link.Drain(time.Second, true)
	if err := p.link.Hand(workerproto.Connection{FD: socket}); err != workerproto.ErrEnded {
		t.Error("Hand after Drain:", err)
	}
	for range 2 {
		_, fd := p.hear()
		fdpass.Close(fd)
		p.silent()
		p.ack()
	}
	p.silent()
	p.say(object{{"type", "sticky:connection"}, {"data", "late"}})
	p.told.await("bind late")
	fdpass.Close(socket)
}

func TestLinkEndsAtProtocolError(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		say        []byte
	}{
		{"ACK of nothing", "NODE_HANDLE_ACK of nothing", v8Codec{}.encode(object{{"cmd", "NODE_HANDLE_ACK"}})},
		{"NACK of nothing", "NODE_HANDLE_NACK of nothing", v8Codec{}.encode(object{{"cmd", "NODE_HANDLE_NACK"}})},
		{"endless message", "a message of 4294967295 bytes", []byte("\xff\xff\xff\xff")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Advanced, nil)
			p.sayRaw(tt.say)
			if err := <-p.ran; !errors.Is(err, workerproto.ErrProtocol) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
}

func TestStrangeMessagesAreIgnored(t *testing.T) {
	for _, s := range serializations {
		p := newPeer(t, s, nil)
		p.start()
		for _, o := range []object{nil, {{"cmd", "NODE_FUTURE"}, {"type", "sticky:connection"}, {"data", "x"}}, {{"cmd", 7.0}},
			{{"type", "sticky:connection"}}, {{"type", "sticky:connection"}, {"data", 7.0}}, {{"type", "axm:monitor"}},
			{{"cmd", "NODE_CLUSTER"}}, {{"cmd", "NODE_CLUSTER"}, {"act", "close"}}, {{"cmd", "NODE_CLUSTER"}, {"ack", 7.0}}} {
			p.say(o)
		}
		p.sayRaw(map[Serialization][]byte{JSON: []byte("nonsense\n[]\n\"x\"\n"), Advanced: []byte("\x00\x00\x00\x03abc\x00\x00\x00\x00")}[s])
		p.say(object{{"type", "sticky:connection"}, {"data", "s"}})
		p.told.await("ready\nbind s")
	}
}

func TestSyncHandlesWhatWasSaid(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	for i := range 1000 {
		id := fmt.Sprint("session ", i)
		p.say(object{{"type", "sticky:connection"}, {"data", id}})
		p.link.Sync()
		if !strings.HasSuffix(p.told.all(), "bind "+id) {
			t.Fatal("after Sync the handler was not told of the last session")
		}
	}
}

func TestLoadExpires(t *testing.T) {
	l := load{begun: make(chan struct{}, 1)}
	for range 5 {
		l.add()
	}
	if n := l.settle(2); n != 2 {
		t.Errorf("%d settled, want 2", n)
	}
	now := time.Now()
	if n, wait, again := l.expire(now); n != 0 || !again || wait > loadExpires {
		t.Errorf("%d expired at once, the next in %v (%t)", n, wait, again)
	}
	if n, _, again := l.expire(now.Add(loadExpires)); n != 3 || again {
		t.Errorf("%d expired, want 3 (%t)", n, again)
	}
	if n := l.settle(1); n != 0 {
		t.Errorf("%d settled of none", n)
	}
	l.trust()
	l.add()
	if n, _, again := l.expire(now.Add(time.Hour)); n != 0 || again {
		t.Errorf("%d expired though the worker tells", n)
	}
}

func TestWhatIsNotSentOffDoesNotWaitForTheWorker(t *testing.T) {
	p := newPeer(t, Advanced, nil)
	p.start()
	_, socket := connect(t)
	if err := p.link.Hand(workerproto.Connection{FD: socket}); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.link.UntakenSince(); ok {
		t.Error("it waits before it was sent off")
	}
	p.link.Flush()
	if _, ok := p.link.UntakenSince(); !ok {
		t.Error("it does not wait for the worker")
	}
}
