package nodeipc

import (
	"encoding/base64"
	"sync/atomic"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

// What marks a message as of Node's cluster module, or as one between stickyd and
// its own library in the worker. That both begin with NODE_ keeps them from the
// application, which hears only what it has asked for (internalMessage in Node's
// lib/internal/child_process.js).
const (
	cluster = "NODE_CLUSTER"
	ours    = "NODE_STICKYD"
)

// Runtimes that a library of ours has told of. The empty one is Node's.
const (
	deno = "deno"
	bun  = "bun"
)

// A helper is what is known of a library of ours in the worker: the npm package,
// which the application uses itself or stickyd has Node load first.
type helper struct {
	runtime string // what it runs in. With l.read held, as all here without a note
	expects bool   // setupWorker is loaded, and was not called yet
	alone   string // what the application has called that listens by itself, past us

	here  atomic.Bool // there is one, so the worker tells of the end of each connection
	late  atomic.Bool // it registers sessions whose clients may know of them before
	early atomic.Bool // and none of the others do
	door  atomic.Bool // a server was attached: the library gets the connections for it

	// nobody says that the library was told that no worker has registered any
	// session, so that it gives nothing back, and settled that it need not wait for
	// other libraries to know better, see news.
	nobody, settled atomic.Bool
}

// forget makes it what it was before a library spoke.
func (h *helper) forget() {
	h.runtime, h.expects, h.alone = "", false, ""
	for _, b := range []*atomic.Bool{&h.here, &h.late, &h.early, &h.door, &h.nobody, &h.settled} {
		b.Store(false)
	}
}

// bindsItself reports whether a server that gets no clients' connections listens
// without our help: the runtime can't take a listening socket.
func (h *helper) bindsItself() bool { return h.runtime == bun }

// handleOurs handles what the library says. l.read is held.
func (l *Link) handleOurs(m object) {
	switch m.text("act") {
	case "hello": // as a preload before anything of the application
		l.meet(m)
	case "expects":
		l.helper.expects = true
	case "adopts":
		l.adopted(m.truth("attached"))
	case "early":
		l.helper.early.Store(true)
	case "hold":
		l.waitReady = true
	case "ready":
		l.saysReady()
	case "bind":
		l.bind(ids(m))
		if adopted, ok := m.number("adopted"); ok {
			l.settle(adopted)
		}
	case "heard":
		l.helper.nobody.Store(false)
		l.hub.hearNews(l)
	case "unbind":
		for _, id := range ids(m) {
			l.handler.Unbind(id)
		}
	case "closed":
		if n, ok := m.number("n"); ok {
			l.settle(n)
		}
	case "alone":
		l.helper.alone = m.text("name")
	case "wrapper":
		l.passedOn(m)
	}
}

// meet notes that there is a library, and what it can do. l.read is held.
func (l *Link) meet(m object) {
	h := &l.helper
	h.here.Store(true)
	h.runtime = m.text("runtime")
	h.late.Store(m.truth("late"))
	l.load.trust()
	if m.truth("hold") {
		l.waitReady = true
	}
	l.write.Lock()
	l.parcels.apart = h.runtime == deno
	l.write.Unlock()
	l.stopProbe()
	l.process, _ = m.number("pid")
}

// passedOn: the process is a launcher, such as npm, which leaves the channel to the
// one that it starts, or can't. l.read is held.
func (l *Link) passedOn(m object) {
	l.wrapper = m.text("name")
	if l.passing = m.truth("passes"); l.passing {
		return
	}
	l.stopProbe()
	l.helper.alone = l.wrapper
	if l.hub.first("wrapper") {
		l.log.Warn("the command is a launcher that stickyd cannot pass connections through", "launcher", l.wrapper, "hint", wrapperHint(l.wrapper))
	}
}

// wrapperHint says what to run in a launcher's place.
func wrapperHint(name string) string {
	switch name {
	case "nodemon", "ts-node-dev":
		return "run the script with node, and stickyd --watch . restarts it when files change"
	}
	return "run the script with node itself, as in stickyd -- node server.js"
}

// adopted: setupWorker was called, or attach. l.read is held.
func (l *Link) adopted(attached bool) {
	l.helper.door.Store(attached)
	l.adopts.Store(true)
	l.helper.expects = false
	l.demoteDoors("setupWorker was called after it")
	l.decideOthers()
	l.reachable()
	l.becomeReady()
}

// bind makes sessions the worker's. The library is told which are refused.
func (l *Link) bind(ids [][]byte) {
	var refused []any
	for _, id := range ids {
		if !l.bindOne(id) {
			refused = append(refused, latin1(id))
		}
	}
	if len(refused) > 0 {
		l.send(object{{"cmd", ours}, {"act", "refused"}, {"ids", refused}})
	}
}

func (l *Link) bindOne(id []byte) (ok bool) {
	ok = l.handler.Bind(id)
	l.bound = true
	if !l.helper.settled.Load() {
		l.hub.noteBound(l)
	}
	return ok
}

// ids returns the session ids in a message: of one alone, which V8 writes in less time,
// or of a list, which libraries of before say, in workers that an upgrade brings along.
func ids(m object) (ids [][]byte) {
	list, _ := m.get("ids").([]any)
	for _, element := range append(list, m.get("id")) {
		text, _ := element.(string)
		if id, ok := bytesOf(text); ok && len(id) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// bytesOf returns a session id, of which a message has each byte as the character of
// that number: clients and servers do not agree on an encoding. It is not ok if text
// has other characters.
func bytesOf(text string) (b []byte, ok bool) {
	b = make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

// handleReturn: the worker gives a connection back, for a request that is
// another worker's. It reports whether it took ownership of fd.
func (l *Link) handleReturn(m object, fd int) bool {
	replay, ok := returnedData(m.get("data"))
	if !ok || len(replay) > workerproto.MaxReplay || !fdpass.IsStreamSocket(fd) {
		l.log.Warn("a connection that was given back cannot be used", "bytes", len(replay))
		return false
	}
	if !m.truth("session") {
		l.settle(1)
	}
	l.handler.Returned(workerproto.Connection{FD: fd, Replay: replay, Session: m.truth("session")})
	return true
}

// returnedData returns bytes from a Buffer, or from base64 where the
// serialization has no Buffers.
func returnedData(value any) (data []byte, ok bool) {
	switch v := value.(type) {
	case []byte:
		return v, true
	case string:
		data, err := base64.StdEncoding.DecodeString(v)
		return data, err == nil
	}
	return nil, false
}
