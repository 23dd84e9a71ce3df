package supervisor

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A Link is the conversation with one worker in its dialect: a
// *workerproto.Link or a *nodeipc.Link, whose docs say more. The rest of
// stickyd does not know which. Its methods may be called from any goroutine.
type Link interface {
	// Run handles what the worker says until the conversation ends.
	Run() error

	// Sync returns once what the worker had said before has been handled.
	Sync()

	// Hand takes a connection for the worker.
	Hand(workerproto.Connection) error

	// Flush sends the worker what Hand has taken, and does not wait.
	Flush()

	// Drain announces the worker's end; with finish, no connection comes any
	// more.
	Drain(limit time.Duration, finish bool)

	// UntakenSince says since when the worker has taken nothing though a
	// connection waits for it.
	UntakenSince() (at time.Time, ok bool)

	// RegistersLate says whether a new session may be used before the worker
	// has announced it.
	RegistersLate() bool

	// Hint says what may be wrong with a worker that does not get ready.
	Hint() string

	// Freeze stops the conversation, for stateOf: no handler is called any
	// more, and Run has returned.
	Freeze()

	// Close ends the conversation and returns the connections that the worker
	// never took.
	Close() []workerproto.Connection
}

// hasSpoken reports whether the worker has said anything yet.
func hasSpoken(l Link) bool {
	return dialectOf(l) != nil
}

// servesAlone reports whether the worker has said that it serves past us.
func servesAlone(l Link) bool {
	node := asNode(l)
	return node != nil && node.ServesAlone()
}

// reachesServer reports whether a launcher has passed on what the server needs.
func reachesServer(l Link) bool {
	node := asNode(l)
	return node != nil && node.Reaches()
}

// refusal says why the worker could not listen, "" if it did not want to, or could.
func refusal(l Link) string {
	if node := asNode(l); node != nil {
		return node.Refusal()
	}
	return ""
}

// asNode returns the link as one to a Node program, nil if it is to another, or
// nobody knows yet.
func asNode(l Link) *nodeipc.Link {
	node, _ := dialectOf(l).(*nodeipc.Link)
	return node
}

// dialectOf returns the link in the worker's dialect, nil if nobody knows that yet.
func dialectOf(l Link) Link {
	if u, ok := l.(*undecided); ok {
		return u.decided()
	}
	return l
}

// endsByItself reports whether a worker that was told to finish ends when it has,
// without a signal.
func endsByItself(l Link) bool {
	_, ok := dialectOf(l).(*workerproto.Link)
	return ok
}

// A Protocol is the dialect of a Spec's workers.
type Protocol string

// The protocols.
const (
	Auto   Protocol = "auto"   // what the worker says first decides
	Native Protocol = "native" // workerproto's own
	Node   Protocol = "node"   // Node's channel between processes
)

// offer returns the variables that tell a worker where stickyd listens to it,
// in each dialect that it may speak. Both are offered on one descriptor.
func (s *Supervisor) offer(w *Worker) []string {
	env := []string{
		workerproto.EnvWorker + "=" + strconv.Itoa(w.Slot),
		workerproto.EnvWorkers + "=" + strconv.Itoa(w.terms.Workers),
	}
	if w.launch.Protocol != Node {
		env = append(env,
			workerproto.EnvFD+"="+strconv.Itoa(controlFD),
			workerproto.EnvProtocol+"="+strconv.Itoa(workerproto.Version))
	}
	if w.launch.Protocol != Native {
		// The id becomes cluster.worker.id. Other workers tell by it who has
		// died, so a slot's number, which comes back, would not do.
		env = append(env,
			workerproto.EnvNodeChannel+"="+strconv.Itoa(controlFD),
			workerproto.EnvNodeSerialization+"="+string(w.launch.serialization()),
			workerproto.EnvNodeID+"="+strconv.FormatUint(uint64(w.terms.Incarnation), 10),
			workerproto.EnvNode+"="+w.forLibrary())
	}
	return env
}

// forLibrary is what the library in Node workers has to know, see
// workerproto.EnvNode.
func (w *Worker) forLibrary() string {
	text, _ := json.Marshal(map[string]any{ // which can't fail
		"session":       append([]string{}, w.terms.Sessions...), // [], and not null
		"serialization": w.launch.serialization(),
	})
	return string(text)
}

// newLink takes ownership of conn.
func (s *Supervisor) newLink(conn *fdpass.Conn, w *Worker) Link {
	return &undecided{
		conn: conn, become: func(first byte) Link { return s.linkFor(first, conn, w) },
		hint: commandHint(w.launch.Argv), socket: -1, ran: make(chan struct{}),
	}
}

func (s *Supervisor) nativeLink(conn *fdpass.Conn, w *Worker) Link {
	return workerproto.NewLink(conn, w.terms, readyHandler{w.client, w}, s.hub)
}

func (s *Supervisor) nodeLink(conn *fdpass.Conn, w *Worker, how nodeipc.Serialization) Link {
	o := s.nodeOptions(w)
	o.Serialization = how
	return nodeipc.NewLink(conn, w.terms, readyHandler{w.client, w}, o)
}

func (s *Supervisor) nodeOptions(w *Worker) nodeipc.Options {
	return nodeipc.Options{
		Hub: s.nodeHub, Log: w.log(s.log), Places: s.spec.Places,
		WantsHelper: w.preload != "", WaitReady: w.launch.WaitReady,
	}
}

// linkFor returns the link for a worker that has said something.
//
// Node's messages start with the brace of a JSON object, or with the highest
// byte of a length that is never so great; Bun's with a byte of its own, in JSON or
// in a serialization that is no other runtime's. That a worker was told how to
// write does not mean that it can. Whatever else comes is left for the link that
// was asked for, or the native one, to accept or to complain about.
func (s *Supervisor) linkFor(first byte, conn *fdpass.Conn, w *Worker) Link {
	switch {
	case w.launch.Protocol == Native:
		return s.nativeLink(conn, w)
	case first == '{' || first == nodeipc.BunJSON:
		return s.nodeLink(conn, w, nodeipc.JSON)
	case first == nodeipc.BunAdvanced:
		return s.nodeLink(conn, w, nodeipc.Unreadable)
	case first == 0:
		return s.nodeLink(conn, w, nodeipc.Advanced)
	case w.launch.Protocol == Node:
		return s.nodeLink(conn, w, w.launch.Serialization)
	}
	return s.nativeLink(conn, w)
}

// An undecided link becomes one of a dialect when the worker has said something.
type undecided struct {
	conn   *fdpass.Conn
	become func(first byte) Link // takes ownership of conn
	hint   string                // for one that says nothing

	mu     sync.Mutex
	link   Link // nil until then
	closed bool // before then
	frozen bool // before then

	socket int           // what Freeze left of conn; -1 for none
	ran    chan struct{} // closed when Run has returned
}

// decide returns the link that the worker's first byte asks for; nil if there
// is none yet, or, if it has ended, never will be.
func (u *undecided) decide() (l Link, ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.link != nil || u.closed || u.frozen {
		return u.link, u.closed || u.frozen
	}
	first := make([]byte, 1)
	if _, err := u.conn.TryPeek(first); err != nil {
		return nil, !errors.Is(err, fdpass.ErrWouldBlock)
	}
	u.link = u.become(first[0])
	return u.link, false
}

// decided returns the link, nil if it is open.
func (u *undecided) decided() Link {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.link
}

func (u *undecided) Run() error {
	defer close(u.ran)
	u.conn.OnReadable(func() poll.Next {
		l, ended := u.decide()
		return poll.Until(l != nil || ended)
	})
	u.mu.Lock()
	l, frozen := u.link, u.frozen
	u.closed = u.closed || l == nil
	u.mu.Unlock()
	switch {
	case l != nil:
		return l.Run()
	case frozen: // and Freeze takes the socket
		return workerproto.ErrFrozen
	}
	u.conn.Close()
	return nil
}

func (u *undecided) Sync() {
	if l, _ := u.decide(); l != nil {
		l.Sync()
	}
}

func (u *undecided) Hand(c workerproto.Connection) error {
	if l := u.decided(); l != nil {
		return l.Hand(c)
	}
	return workerproto.ErrEnded
}

func (u *undecided) Flush() {
	if l := u.decided(); l != nil {
		l.Flush()
	}
}

func (u *undecided) Drain(limit time.Duration, finish bool) {
	if l := u.decided(); l != nil {
		l.Drain(limit, finish)
	}
}

func (u *undecided) UntakenSince() (at time.Time, ok bool) {
	if l := u.decided(); l != nil {
		return l.UntakenSince()
	}
	return time.Time{}, false
}

func (u *undecided) RegistersLate() bool {
	l := u.decided()
	return l != nil && l.RegistersLate()
}

func (u *undecided) Hint() string {
	if l := u.decided(); l != nil {
		return l.Hint()
	}
	return u.hint
}

func (u *undecided) Close() []workerproto.Connection {
	u.Sync()
	u.mu.Lock()
	l := u.link
	u.closed = l == nil && !u.frozen
	u.mu.Unlock()
	if l != nil {
		return l.Close()
	}
	u.conn.Shutdown() // ends Run, which closes it
	return nil
}
