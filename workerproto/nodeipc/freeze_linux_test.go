package nodeipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// reload returns what JSON keeps of a link that it freezes.
func reload(t testing.TB, l *Link) *LinkState {
	t.Helper()
	return throughJSON(t, l.State())
}

// A room is a link with a real Node process, the link that it is by now.
type room struct {
	t       *testing.T
	handler workerproto.Handler
	loop    *poll.Loop
	cmd     *exec.Cmd

	mu   sync.RWMutex // held while the link becomes another
	link *Link
	ran  chan error
}

func newRoom(t *testing.T, loop *poll.Loop, hub *Hub, how Serialization, incarnation uint32, h workerproto.Handler, script string) *room {
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
	near, child, err := fdpass.Pair(loop)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, path)
	cmd.Env = append(os.Environ(), "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE="+string(how), fmt.Sprint("NODE_UNIQUE_ID=", incarnation))
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child.Close()
	r := &room{t: t, handler: h, loop: loop, cmd: cmd, ran: make(chan error, 1)}
	r.link = NewLink(near, workerproto.Terms{Incarnation: incarnation}, h, r.options(hub, how))
	r.run()
	return r
}

func (r *room) options(hub *Hub, how Serialization) Options {
	return Options{Serialization: how, Hub: hub, Log: slog.New(slog.DiscardHandler), Places: &peer{told: newRecorder(r.t)}}
}

func (r *room) run() {
	link := r.link
	go func() {
		err := link.Run()
		if err != nil && err != workerproto.ErrFrozen {
			panic(err) // or the test would wait for what never comes
		}
		r.ran <- err
	}()
}

func freezeAndThaw(t *testing.T, rooms ...*room) {
	for _, r := range rooms {
		r.link.Freeze() // what is handed over meanwhile is kept
		if err := <-r.ran; err != workerproto.ErrFrozen {
			t.Errorf("Run returned %v", err)
		}
	}
	hub := NewHub()
	for _, r := range rooms {
		r.mu.Lock()
		state := reload(t, r.link)
		var err error
		if r.link, err = Thaw(state, r.loop, r.handler, r.options(hub, "")); err != nil {
			t.Fatal(err)
		}
		r.mu.Unlock()
	}
	for _, r := range rooms {
		r.run()
	}
}

func (r *room) close() {
	for _, c := range r.link.Close() {
		fdpass.Close(c.FD)
	}
	if err := <-r.ran; err != nil {
		r.t.Errorf("Run returned %v in the end", err)
	}
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// A listener is a Handler that writes down what must come once and in order.
type listener struct {
	workerproto.Handler
	t              *testing.T
	binds, returns int
	heard          chan string      // the binds that are no connections'
	taken, settled atomic.Int64     // connections
	moved          [2]chan struct{} // something was taken, for two who wait
}

func newListener(t *testing.T) *listener {
	return &listener{t: t, heard: make(chan string, 1), moved: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

func (l *listener) Ready()        {}
func (l *listener) Settled(n int) { l.settled.Add(int64(n)) }
func (l *listener) Declined(workerproto.Connection) {
	l.t.Error("a connection was declined")
}

func (l *listener) Taken(n int) {
	l.taken.Add(int64(n))
	for _, c := range l.moved {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (l *listener) Bind(id []byte) bool {
	if strings.HasPrefix(string(id), "heard") {
		l.heard <- string(id)
		return true
	}
	for l.binds%3 == 0 { // was returned
		l.binds++
	}
	if want := fmt.Sprint("connection ", l.binds); string(id) != want {
		l.t.Errorf("bound %s, want %s", id, want)
	}
	l.binds++
	return true
}

func (l *listener) Returned(c workerproto.Connection) {
	fdpass.Close(c.FD)
	if want := fmt.Sprint("connection ", l.returns); string(c.Replay) != want {
		l.t.Errorf("returned %q, want %s", c.Replay, want)
	}
	l.returns += 3
}

// talker binds two of three connections and returns the others, and tells the
// other worker something all the time.
const talker = `
process.on('message', (message, socket) => {
  if (message.type === 'stop') {
    stopped = true;
    return process.send({ source: '_sio_adapter', type: 4, uid: 'a', nsp: '/', last: said });
  }
  if (message.type !== 'sticky:connection') return;
  if (!message.stickyd) return socket.destroy(); // a probe, which it does not answer
  const name = Buffer.from(message.data).toString();
  if (Number(name.split(' ')[1]) % 3 > 0) {
    process.send({ type: 'sticky:connection', data: name });
    return socket.destroy();
  }
  const handle = socket._handle;
  handle.readStop();
  socket._handle = null; // or the socket would close it before it has left
  socket.destroy();
  process.send({ cmd: 'NODE_STICKYD', act: 'return', session: false, data: Buffer.from(name).toString('base64') }, handle, () => handle.close());
});
process.send({ type: 'sticky:connection', data: '' }); // as setupWorker does
let said = 0;
let stopped = false;
function talk() { // again when that is out
  if (stopped) return;
  const say = out => {
    const n = said++;
    process.send({ source: '_sio_adapter', type: 4, uid: 'a', nsp: '/', n, data: 'x'.repeat(n % 100 * 300) }, out);
  };
  for (let i = 0; i < 9; i++) say();
  say(() => setImmediate(talk));
}
talk();
`

// hearer hears that.
const hearer = `
let heard = 0;
process.on('message', (message, socket) => {
  socket?.destroy();
  if (message.source !== '_sio_adapter') return;
  if (message.last !== undefined) return process.send({ type: 'sticky:connection', data: 'heard ' + heard + ' of ' + message.last });
  if (message.n !== heard || message.data.length !== heard % 100 * 300) throw new Error(message.n + ' came, want ' + heard);
  heard++;
});
process.send({ type: 'sticky:connection', data: 'heard nothing yet' });
`

// A Node process that talks all the time notices nothing when its link is frozen
// and thawed, again and again.
func TestFreezeUnderTraffic(t *testing.T) {
	for _, how := range []Serialization{JSON, Advanced} {
		t.Run(string(how), func(t *testing.T) {
			fds, goroutines := openDescriptors(t), runtime.NumGoroutine()
			freezeUnderTraffic(t, how)
			for late := time.Now().Add(deadline); openDescriptors(t) > fds || runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
				if time.Now().After(late) {
					t.Fatalf("%d descriptors and %d goroutines, before it were %d and %d", openDescriptors(t), runtime.NumGoroutine(), fds, goroutines)
				}
			}
		})
	}
}

func freezeUnderTraffic(t *testing.T, how Serialization) {
	loop, err := poll.NewLoop()
	if err != nil {
		t.Fatal(err)
	}
	go loop.Run()
	defer loop.Close()
	hub := NewHub()
	told, toldOther := newListener(t), newListener(t)
	b := newRoom(t, nil, hub, how, 2, toldOther, hearer)
	<-toldOther.heard // it is known to the hub, and misses nothing
	a := newRoom(t, loop, hub, how, 1, told, talker)

	stop := make(chan struct{})
	var freezes sync.WaitGroup
	freezes.Go(func() {
		defer close(stop)
		for range 150 {
			<-told.moved[0]
			freezeAndThaw(t, a, b)
		}
	})
	n := int64(handUntil(t, stop, a, told))
	freezes.Wait()
	for late := time.Now().Add(deadline); told.taken.Load() < n || told.settled.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("of %d connections %d were taken and %d settled", n, told.taken.Load(), told.settled.Load())
		}
	}
	a.link.send(object{{"type", "stop"}})
	var heard, of int
	if fmt.Sscanf(<-toldOther.heard, "heard %d of %d", &heard, &of); heard == 0 || heard != of {
		t.Errorf("%d of %d messages were heard", heard, of)
	}
	t.Logf("%d connections, %d messages", n, heard)
	b.close() // first: it would hear that the other is gone
	a.close()
	if told.taken.Load() != n || told.settled.Load() != n || told.returns != int(n+2)/3*3 {
		t.Errorf("of %d connections %d were taken, %d settled, %d returned", n, told.taken.Load(), told.settled.Load(), told.returns/3)
	}
}

// handUntil hands over connections that bring their number, and returns how many.
func handUntil(t *testing.T, stop <-chan struct{}, r *room, l *listener) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		if int64(n)-l.taken.Load() >= 32 {
			<-l.moved[1]
			continue
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return n
		}
		fdpass.Close(pair[1])
		r.mu.RLock()
		switch err := r.link.Hand(workerproto.Connection{FD: pair[0], Replay: fmt.Append(nil, "connection ", n)}); err {
		case nil:
			n++
		case errNobody: // the script has not begun
			fdpass.Close(pair[0])
			runtime.Gosched()
		default:
			t.Error("Hand:", err)
		}
		r.link.Flush()
		r.mu.RUnlock()
	}
}

// thaw makes the peer's link another, of what JSON keeps of it.
func (p *peer) thaw(t *testing.T) *LinkState {
	t.Helper()
	return thawAll(t, p)[0]
}

// thawAll does so for several, which meet in another hub.
func thawAll(t *testing.T, ps ...*peer) (states []*LinkState) {
	t.Helper()
	for _, p := range ps {
		p.link.Freeze()
		if err := <-p.ran; err != workerproto.ErrFrozen {
			t.Errorf("Run returned %v", err)
		}
		states = append(states, reload(t, p.link))
	}
	hub := NewHub()
	for i, p := range ps {
		var err error
		if p.link, err = Thaw(states[i], nil, p.told, Options{Hub: hub, Log: slog.New(slog.DiscardHandler), Places: p}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range ps {
		go func() { p.ran <- p.link.Run() }()
	}
	return states
}

// Sockets that servers share are acquired again by the same name, and given up by
// it.
func TestFreezeBesideServers(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	p.asks(1, 4, "127.0.0.1", 4000, 0, 0)
	_, fd := p.hear() // the socket
	fdpass.Close(fd)
	state := p.thaw(t)
	if len(state.Parcels) != 1 || !state.Parcels[0].Ours || state.Sent != 1 {
		t.Errorf("parcels %v, %d of them sent", state.Parcels, state.Sent)
	}
	p.told.await("reacquired tcp4 127.0.0.1:4000 0")
	p.ack()
	p.sayCluster(object{{"act", "close"}, {"seq", 2}, {"key", state.Servers[0].Key}})
	p.told.await("released again")
	if strings.Contains(p.told.all(), "released tcp4") {
		t.Error("the socket was given up while the link was frozen")
	}
}

// Servers that get connections go on to, with what they have in common; one that
// had said that it listens is asked again whether it still does.
func TestFreezeBesideDoors(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.hello()
	p.sayCluster(object{{"act", "queryServer"}, {"address", nil}, {"port", 4000}, {"addressType", 4}, {"index", 0}, {"seq", 1},
		{"data", object{{"ticketKeys", "t"}}}})
	key := p.isDoor(1)
	p.sayCluster(object{{"act", "listening"}, {"address", nil}, {"port", 4000}, {"addressType", 4}, {"index", 0}, {"seq", 2}})
	_, fd := p.hear()
	fdpass.Close(fd)
	p.thaw(t)
	p.told.await("reclaimed :4000 tls=true")
	p.ack() // the ping before
	_, fd = p.hear()
	fdpass.Close(fd)
	p.ack()
	p.told.await("ready")
	if data, _ := p.link.hub.data("<nil> 4 0 4000").(object); data.text("ticketKeys") != "t" {
		t.Error("what servers have in common is", data)
	}
	_, socket := connect(t)
	p.hand(workerproto.Connection{FD: socket})
	o, fd := p.hear()
	fdpass.Close(fd)
	if o.inner("msg").text("key") != key {
		t.Error("handed as", o)
	}
	p.sayCluster(object{{"act", "close"}, {"key", key}, {"seq", 3}})
	p.told.await("unreachable")
	p.thaw(t)
	p.told.await("unreachable")
	if err := p.link.Hand(workerproto.Connection{}); err != errNobody {
		t.Error("Hand:", err)
	}
}

// A server whose place was not decided is decided on later.
func TestFreezeBeforeADecision(t *testing.T) {
	for _, helped := range []bool{false, true} {
		p := newPeer(t, JSON, nil)
		p.elsewhere.Store(true)
		if helped {
			p.hello()
		}
		p.sayCluster(object{{"act", "online"}, {"seq", 0}})
		p.asks(1, 4, "127.0.0.1", 4000, 0, 0)
		p.link.Sync()
		state := p.thaw(t)
		if len(state.Servers) != 1 || state.Servers[0].Addr != "127.0.0.1:4000" || state.Servers[0].Role != undecided || !state.Online || state.Ready {
			t.Errorf("servers %v, online %t, ready %t", state.Servers, state.Online, state.Ready)
		}
		for {
			message, fd := p.hear()
			if fd >= 0 { // a probe; nobody answers
				p.ack()
				fdpass.Close(fd)
				continue
			}
			if ack, _ := message.number("ack"); ack == 1 {
				break
			}
		}
		p.told.await("claimed 127.0.0.1:4000")
	}
}

// A conversation that is over stays so, with what the worker never took.
func TestFreezeAfterTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p *peer)
		err  string
	}{
		{"end of file", func(p *peer) { p.conn.Shutdown() }, "<nil>"},
		{"left", func(p *peer) {
			p.sayCluster(object{{"act", "exitedAfterDisconnect"}, {"seq", 1}})
			p.told.await("leaving")
			p.conn.Shutdown()
		}, workerproto.ErrLeft.Error()},
		{"protocol error", func(p *peer) { p.ack(); p.ack() }, "protocol error: NODE_HANDLE_ACK of nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, JSON, nil)
			p.start()
			_, fd := connect(t)
			p.link.Hand(workerproto.Connection{FD: fd}) // waits for Flush
			p.told.await("ready")
			tt.end(p)
			for range 2 {
				if err := <-p.ran; fmt.Sprint(err) != tt.err {
					t.Errorf("Run returned %v, want %v", err, tt.err)
				}
				p.link.Freeze()
				state := reload(t, p.link)
				if state.Socket >= 0 {
					t.Errorf("the socket is still there: %d", state.Socket)
				}
				var err error
				if p.link, err = Thaw(state, nil, p.told, Options{Hub: NewHub()}); err != nil {
					t.Fatal(err)
				}
				p.ran <- p.link.Run()
			}
			if err := p.link.Hand(workerproto.Connection{}); err != workerproto.ErrEnded {
				t.Error("Hand:", err)
			}
			p.link.Flush()
			orphans := p.link.Close()
			if len(orphans) != 1 || orphans[0].FD != fd {
				t.Fatalf("%v were never taken", orphans)
			}
			fdpass.Close(fd)
		})
	}
}

// Who has not asked for the state of a conversation that was over may close it,
// and gets what the worker never took.
func TestCloseAfterTheEndAndFreeze(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	_, fd := connect(t)
	p.link.Hand(workerproto.Connection{FD: fd})
	p.conn.Shutdown()
	if err := <-p.ran; err != nil {
		t.Error("Run returned", err)
	}
	p.link.Freeze()
	orphans := p.link.Close()
	if len(orphans) != 1 || orphans[0].FD != fd {
		t.Errorf("%v were never taken, want %d", orphans, fd)
	}
	fdpass.Close(fd)
	if fds := p.link.State().FDs(); len(fds) > 0 {
		t.Errorf("the state has %v as well", fds)
	}
}

// A worker to which too much is said while it is frozen is ended when it is
// thawed, as any other: what it said before counts, and others hear of its end.
func TestTooSlowWhileFrozen(t *testing.T) {
	hub := NewHub()
	p, q := newPeer(t, JSON, hub), newPeer(t, JSON, hub)
	p.start()
	q.start()
	p.say(adapterMessage(member{"uid", "P"}, member{"nsp", "/"}, member{"type", 3}, member{"text", "hello"}))
	q.hearsOnly("hello")
	_, fd := connect(t)
	p.hand(workerproto.Connection{FD: fd})
	_, theirs := p.hear()
	fdpass.Close(theirs)
	p.link.Freeze()
	p.ack()
	p.link.relay(make([]byte, maxOutbox+1))
	p.link.relay([]byte("{}\n"))
	state := p.link.State()

	l, err := Thaw(state, nil, p.told, Options{Hub: hub, Log: slog.New(slog.DiscardHandler), Places: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(); !errors.Is(err, workerproto.ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
		t.Errorf("Run returned %v", err)
	}
	for _, c := range l.Close() {
		t.Error("what it took is given back as well")
		fdpass.Close(c.FD)
	}
	p.told.await("taken 1")
	if m, _ := q.hear(); m.text("uid") != "P" || m.get("type") == nil {
		t.Errorf("the other worker heard %v", m)
	}
}

// What a worker has not read is taken along as far as it is little; else the
// worker is ended, and what it had not taken is left.
func TestStateOfAWorkerThatDoesNotRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bytes  int
		broken bool
	}{
		{"for a moment", maxFrozen, false},
		{"for long", maxFrozen + 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, JSON, nil)
			p.start()
			p.link.Freeze()
			<-p.ran
			_, fd := connect(t)
			p.link.relay(make([]byte, tt.bytes))
			if err := p.link.Hand(workerproto.Connection{FD: fd, Replay: make([]byte, workerproto.MaxReplay)}); err != nil {
				t.Fatal(err)
			}
			state := p.link.State()
			if n := len(state.Outbox); (state.Broken != "") != tt.broken || (n == 0) != tt.broken {
				t.Errorf("the state has %d frames, and says of the worker %q", n, state.Broken)
			}
			l, err := Thaw(state, nil, p.told, Options{Hub: NewHub(), Log: slog.New(slog.DiscardHandler), Places: p})
			if err != nil {
				t.Fatal(err)
			}
			p.link = l
			if tt.broken {
				err := l.Run()
				if !errors.Is(err, workerproto.ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
					t.Errorf("Run returned %v", err)
				}
				p.ran <- err
			} else {
				go func() { p.ran <- l.Run() }()
			}
			if left := l.Close(); len(left) != 1 || left[0].FD != fd {
				t.Errorf("left are %+v", left)
			}
			fdpass.Close(fd)
		})
	}
}

// All that a state says is in the link that is made of it.
func TestThawIsWhole(t *testing.T) {
	near, far, err := fdpass.Channel()
	if err != nil {
		t.Fatal(err)
	}
	defer fdpass.Close(far)
	socket, err := near.Detach()
	if err != nil {
		t.Fatal(err)
	}
	age := workerproto.Age(time.Hour)
	connection := workerproto.Connection{FD: 1003, Replay: []byte("GET"), Session: true, Refusals: 2}
	state := &LinkState{
		Terms: workerproto.Terms{Incarnation: 7}, Serialization: JSON, Socket: socket,
		Online: true, Ready: true, Away: true, Leaving: true, Adopts: true, WaitReady: true, SaidReady: true,
		Wrapper: "npm", Passing: true, Process: 4711, Bound: true,
		Helper:   helperState{Here: true, Expects: true, Late: true, Early: true, Door: true, Nobody: true, Settled: true, Runtime: deno, Alone: "Deno.serve"},
		Buffered: []byte("half"), Loose: []int{1001},
		Outbox: []outgoingState{{[]byte("frame"), 1003}, {[]byte("other"), -1}}, Pushed: 77,
		Parcels: []parcelState{{connection, []byte("frame"), 3, "d", 70, 1, age, true}}, Sent: 1, Acked: 60, Plain: 50,
		Accepting: []parcelState{{connection, []byte("frame"), 3, "d", 70, 1, age, false}},
		Took:      age, Seq: 5, NoMore: true,
		Servers: []*server{
			{listen: listen{1, "k", "n", "tcp", "a:1", 1, 1, true, 1}, Role: undecided, Data: json.RawMessage(`"x"`)},
			{listen: listen{1, "d", "m", "tcp", "a:1", 1, 1, true, 1}, Role: doorRole, At: "127.0.0.1:1", Answered: true, Listening: true, Open: true},
			{listen: listen{1, "e", "m", "tcp", "a:2", 1, 2, true, 1}, Role: doorRole, Demoted: true, At: "127.0.0.1:1", Answered: true},
			{listen: listen{1, "s", "o", "tcp", "a:1", 1, 1, true, 1}, Role: shared, Answered: true},
		},
		Load: 3, Since: []workerproto.Age{age},
		Namespaces: map[string]string{"u": "/"}, Engine: "e", Old: true,
	}
	v := reflect.ValueOf(*state)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Error" && name != "Left" && name != "Broken" {
			t.Errorf("the test says nothing of %s", name)
		}
	}
	want, _ := json.Marshal(state)
	l, err := Thaw(state, nil, nil, Options{
		Hub: NewHub(), Log: slog.New(slog.DiscardHandler), Places: &peer{told: newRecorder(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.out.size != 10 || l.hub.byUID["u"] != l || l.hub.byEngine["e"] != l || len(l.doors) != 1 || l.probing.Err() == nil {
		t.Errorf("%d bytes wait, the hub knows %v, the worker is asked whether it is ready: %t", l.out.size, l.hub.byUID, l.probing.Err() == nil)
	}
	close(l.ran) // it never runs
	l.Freeze()
	again := l.State()
	for _, a := range []*workerproto.Age{&again.Took, &again.Parcels[0].Age, &again.Accepting[0].Age, &again.Since[0]} {
		*a = workerproto.Age(time.Duration(*a).Truncate(time.Hour)) // less what this took
	}
	if got, _ := json.Marshal(again); string(got) != string(want) {
		t.Errorf("of the state\n%s\ncame\n%s", want, got)
	}
	fdpass.Close(again.Socket)
}

// A worker is not blamed for the time in which it could not be heard.
func TestFreezeDoesNotCount(t *testing.T) {
	const waited = 3 * time.Second // before an hour in which it is frozen
	p := newPeer(t, Advanced, nil)
	p.start()
	_, fd := connect(t)
	p.hand(workerproto.Connection{FD: fd})
	p.link.Freeze()
	<-p.ran
	p.link.frozenAt = time.Now().Add(-time.Hour)
	p.link.parcels.queue[0].at = p.link.frozenAt.Add(-waited)
	state := p.link.State()
	earliest := time.Now().Add(-waited)
	var err error
	if p.link, err = Thaw(state, nil, p.told, Options{Hub: NewHub(), Log: slog.New(slog.DiscardHandler), Places: p}); err != nil {
		t.Fatal(err)
	}
	latest := time.Now().Add(-waited)
	if since, ok := p.link.UntakenSince(); !ok || since.Before(earliest) || since.After(latest) {
		t.Errorf("it has taken nothing since %v, want %v to %v", since, earliest, latest)
	}
	go func() { p.ran <- p.link.Run() }()
}

// What had come of a message, and the descriptor that came with it, are there
// when the rest comes.
func TestFreezeInTheMiddleOfAMessage(t *testing.T) {
	p := newPeer(t, JSON, nil)
	p.start()
	frame := p.stream.codec.encode(object{{"cmd", "NODE_HANDLE"}, {"type", "net.Native"},
		{"msg", object{{"cmd", ours}, {"act", "return"}, {"session", true}, {"data", "R0VU"}}}})
	_, fd := connect(t)
	p.sayRaw(frame[:20], fd)
	fdpass.Close(fd)
	p.link.Sync()
	if state := p.thaw(t); len(state.Buffered) != 20 || len(state.Loose) != 1 {
		t.Errorf("the state has %d bytes and %d descriptors that came", len(state.Buffered), len(state.Loose))
	}
	p.sayRaw(frame[20:])
	p.told.await(`returned "GET" session=true`)
}

// Of a state that nobody can use, the connections that the worker had not taken
// are left, and nothing else.
func TestDropLeavesWhatTheWorkerHadNotTaken(t *testing.T) {
	before := openDescriptors(t)
	fd := func() int {
		fd, err := unix.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	parcel := func(ours bool) parcelState {
		return parcelState{Connection: workerproto.Connection{FD: fd()}, Ours: ours}
	}
	state := &LinkState{
		Socket: fd(), Loose: []int{fd()}, Accepting: []parcelState{parcel(false)},
		Parcels: []parcelState{parcel(true), parcel(false)}, Sent: 4,
	}
	if _, err := Thaw(state, nil, nil, Options{Hub: NewHub()}); err == nil {
		t.Error("it can be used")
	}
	left := state.Drop()
	if len(left) != 2 || left[0].FD != state.Accepting[0].FD || left[1].FD != state.Parcels[1].FD {
		t.Errorf("left are %+v", left)
	}
	for _, c := range left {
		fdpass.Close(c.FD)
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors were open before, %d are now", before, after)
	}
}
