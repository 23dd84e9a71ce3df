package workerproto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/routing/session"
)

// The environment of a worker.
const (
	EnvFD       = "STICKYD_FD"       // number of the control descriptor
	EnvWorker   = "STICKYD_WORKER"   // slot, 1 to STICKYD_WORKERS
	EnvWorkers  = "STICKYD_WORKERS"  // how many slots there are
	EnvProtocol = "STICKYD_PROTOCOL" // highest version that stickyd speaks
	EnvInstance = "STICKYD_INSTANCE" // by which stickyd knows its own; stays
)

// What stickyd offers beside those, on the same descriptor, in case that the
// worker is a Node program: see package nodeipc.
const (
	EnvNodeChannel       = "NODE_CHANNEL_FD"
	EnvNodeSerialization = "NODE_CHANNEL_SERIALIZATION_MODE"
	EnvNodeID            = "NODE_UNIQUE_ID"
	EnvNode              = "STICKYD_NODE" // what the library in Node has to know, in JSON
)

// helloTimeout is how long Listen waits for stickyd's answer.
const helloTimeout = 30 * time.Second

// A Worker is a net.Listener whose connections come from stickyd, and the
// place to register sessions. Its methods may be called from any goroutine.
//
// Without stickyd (STICKYD_FD is not in the environment) it is an ordinary
// listener, and registering sessions does nothing.
type Worker struct {
	plain net.Listener // the ordinary one, where there is no stickyd

	conn     *fdpass.Conn // nil without stickyd
	welcomed bool         // only receive uses it
	terms    Terms
	sources  session.Sources
	queue    chan arrival
	order    sync.Mutex    // held from taking out of queue to having noted what became of it
	closed   chan struct{} // Close was called
	closing  sync.Once
	draining chan struct{} // stickyd sends no new sessions
	deadline atomic.Int64  // UnixNano until which to drain, 0 if none was named
	ended    chan struct{} // stickyd sends no more; nil without it
	orphan   bool          // and is gone; set before ended is closed
	ready    readiness

	write    sync.Mutex // the outbox, and the counters that go with it
	out      outbox
	accepted uint64 // id of the last connection that Accept returned
	unsaid   uint32 // closed connections not yet reported
	flush    *time.Timer

	acked    atomic.Uint64 // id up to which TAKEN was said
	tally    *tally        // nil where all is said in frames; set before WELCOME is dealt with
	declined bool          // TAKEN is said in frames; write is held for it

	ids sessionSet

	publishing sync.Mutex // held for a whole message
	inbox      inbox
}

// An arrival is a connection that stickyd sent and Accept has not returned.
type arrival struct {
	id      uint64
	fd      int
	session bool
	replay  []byte
}

// Listen returns the listener of a worker that stickyd started, or, in a
// program that was not started by stickyd, one on the TCP address addr. The
// environment variables that announce stickyd are removed, so that children
// of this process don't take themselves for workers, Node programs among them.
//
// stickyd sends connections after the first call of Accept, unless HoldReady was
// called.
func Listen(addr string) (*Worker, error) {
	value, ok := os.LookupEnv(EnvFD)
	if !ok {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, err
		}
		return &Worker{plain: ln, draining: make(chan struct{})}, nil
	}
	for _, name := range []string{EnvFD, EnvWorker, EnvWorkers, EnvProtocol, EnvNodeChannel, EnvNodeSerialization, EnvNodeID, EnvNode} {
		os.Unsetenv(name)
	}
	fd, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s=%q: not a descriptor number", EnvFD, value)
	}
	conn, err := fdpass.Adopt(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvFD, err)
	}
	w, err := attach(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// maxWindow is the largest window that a stickyd may announce.
const maxWindow = 250

// attach says HELLO, waits for WELCOME and starts receiving.
func attach(conn *fdpass.Conn) (*Worker, error) {
	w := &Worker{
		conn: conn, out: outbox{conn: conn},
		queue:    make(chan arrival, maxWindow),
		closed:   make(chan struct{}),
		ended:    make(chan struct{}),
		draining: make(chan struct{}),
	}
	w.flush = time.AfterFunc(time.Hour, w.sayClosed)
	w.flush.Stop()
	if err := w.send(hello{min: Version, max: Version, library: "go", page: true}.append(nil), -1); err != nil {
		return nil, fmt.Errorf("cannot say hello to stickyd: %w", err)
	}
	welcome := make(chan error, 1)
	// The receiver ends with the control socket, which is open for as long as
	// the process is: sessions and connections outlive the listener.
	go w.receive(welcome)
	select {
	case err := <-welcome:
		if err != nil {
			return nil, fmt.Errorf("cannot work for stickyd: %w", err)
		}
		return w, nil
	case <-time.After(helloTimeout):
		return nil, fmt.Errorf("cannot work for stickyd: no answer within %v", helloTimeout)
	}
}

// Slot returns the worker's number, 1 to the number of workers; it stays when
// the process is replaced. Without stickyd it is 0.
func (w *Worker) Slot() int { return w.terms.Slot }

// Workers returns how many slots there are, 0 without stickyd.
func (w *Worker) Workers() int { return w.terms.Workers }

// Accept returns the next connection. It returns an error that is
// net.ErrClosed after Close, and one that is also ErrEnded once stickyd sends no
// more, because it stops or is gone, and all that it had sent were returned.
func (w *Worker) Accept() (net.Conn, error) {
	if w.conn == nil {
		return w.plain.Accept()
	}
	select {
	case <-w.closed:
		return nil, net.ErrClosed
	default:
	}
	w.sayAccepting()
	// TAKEN speaks for all connections before its own, so their fates are
	// settled one by one.
	w.order.Lock()
	defer w.order.Unlock()
	for {
		a, err := w.next()
		if err != nil {
			return nil, err
		}
		c, err := newWorkerConn(w, a)
		if err != nil {
			// Typically out of descriptors: another worker has some.
			w.decline(a.id)
			continue
		}
		w.write.Lock()
		w.accepted = a.id
		w.write.Unlock()
		return c, nil
	}
}

func (w *Worker) next() (arrival, error) {
	select {
	case <-w.closed:
		return arrival{}, net.ErrClosed
	default:
	}
	select {
	case a := <-w.queue:
		return a, nil
	default:
	}
	w.sayTaken() // nobody may touch the connections before the next one comes
	select {
	case <-w.closed:
		return arrival{}, net.ErrClosed
	case a := <-w.queue:
		return a, nil
	case <-w.ended:
	}
	select { // ended is closed after the last one was queued
	case a := <-w.queue:
		return a, nil
	default:
		return arrival{}, ErrEnded
	}
}

// Close stops accepting, and tells stickyd to send no new sessions. Connections
// that Accept has not returned go to other workers. Those that it has returned,
// and the sessions, live on.
func (w *Worker) Close() error {
	if w.conn == nil {
		return w.plain.Close()
	}
	w.closing.Do(func() {
		close(w.closed)
		w.neverReady()
		select {
		case <-w.ended: // it knows
		default:
			w.send(appendHeader(nil, Leaving, 0, 0), -1)
		}
		w.sayTaken()
		w.declineQueue()
	})
	return nil
}

// declineQueue is called after Close, so that an Accept that waits with the
// lock comes to an end.
func (w *Worker) declineQueue() {
	w.order.Lock()
	defer w.order.Unlock()
	for {
		select {
		case a := <-w.queue:
			fdpass.Close(a.fd)
			w.decline(a.id)
		default:
			return
		}
	}
}

// Addr returns the listener's address; under stickyd, which listens itself,
// it names the slot.
func (w *Worker) Addr() net.Addr {
	if w.conn == nil {
		return w.plain.Addr()
	}
	return slotAddr(w.terms.Slot)
}

type slotAddr int

func (slotAddr) Network() string  { return "stickyd" }
func (a slotAddr) String() string { return "worker " + strconv.Itoa(int(a)) }

// send writes a frame whole; it waits while the socket is full. Once stickyd
// is gone there is nobody to tell, which send reports and most callers ignore.
func (w *Worker) send(frame []byte, fd int) error {
	w.write.Lock()
	defer w.write.Unlock()
	return w.sendLocked(frame, fd)
}

func (w *Worker) sendLocked(frame []byte, fd int) error {
	w.out.push(frame, fd)
	err := w.out.flush()
	if errors.Is(err, fdpass.ErrWouldBlock) {
		err = w.out.wait(context.Background(), w.out.flush)
	}
	if err != nil {
		w.out = outbox{conn: w.conn} // nobody will ever read what waits in it
	}
	return err
}

// decline tells stickyd that the worker does not have a connection. From then
// on TAKEN is said in frames, which keep their order: a number on the tally
// would overtake this frame.
func (w *Worker) decline(id uint64) error {
	w.write.Lock()
	defer w.write.Unlock()
	w.declined = true
	return w.sendLocked(appendNumber(nil, Decline, id), -1)
}

// sayTaken tells stickyd that everything that Accept has returned is ours.
func (w *Worker) sayTaken() {
	w.write.Lock()
	defer w.write.Unlock()
	if w.accepted <= w.acked.Load() {
		return
	}
	if w.tally == nil || w.declined || w.tally.take(w.accepted) {
		w.sendLocked(appendNumber(nil, Taken, w.accepted), -1)
	}
	w.acked.Store(w.accepted)
}

// closedDelay is how long the report of a closed connection may wait for
// others, so that many share one system call.
const closedDelay = 10 * time.Millisecond

// noteClosed counts an ended connection that was load.
func (w *Worker) noteClosed() {
	if w.tally != nil {
		w.tally.closed.Add(1)
		return
	}
	w.write.Lock()
	defer w.write.Unlock()
	if w.unsaid++; w.unsaid == 1 {
		w.flush.Reset(closedDelay)
	}
}

func (w *Worker) sayClosed() {
	w.write.Lock()
	defer w.write.Unlock()
	if w.unsaid > 0 {
		w.sendLocked(appendCount(nil, Closed, w.unsaid), -1)
		w.unsaid = 0
	}
}

// ErrID is returned by Bind for an id that can't be routed by.
var ErrID = errors.New("workerproto: a session id has 1 to 256 bytes")

// Bind registers a session that lives in this worker. Once it has returned,
// every request with that id comes here; so call it before the response that
// reveals the id is written. Binding again is harmless.
//
// ctx is the context of the request that started the session, if there is one
// (from a server that runs through Serve): its connection then counts as part
// of the session and not as further load.
//
// An id that a live worker holds already is refused: stickyd logs it, and the
// session is never routed here.
func (w *Worker) Bind(ctx context.Context, id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return ErrID
	}
	if w.conn == nil {
		return nil
	}
	var adopted uint32
	if c := connOf(ctx); c != nil && c.adopt() {
		adopted = 1
	}
	w.write.Lock() // so that the frames come in the order of what is known here
	defer w.write.Unlock()
	w.ids.add(id)
	w.sendLocked(appendBind(nil, adopted, id), -1)
	return nil
}

// Unbind says that a session has ended. An id that was not bound is ignored.
func (w *Worker) Unbind(id string) {
	if w.conn == nil {
		return
	}
	w.write.Lock()
	defer w.write.Unlock()
	if w.ids.remove(id) {
		w.sendLocked(appendIDFrame(nil, Unbind, id), -1)
	}
}
