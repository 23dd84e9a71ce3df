package main

import (
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/stickyd/stickyd/workerproto"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/zishang520/socket.io/parsers/socket/v3/parser"
	"github.com/zishang520/socket.io/servers/socket/v3"
)

// A cluster makes the adapters that let a server reach the clients of all
// workers: what is emitted to a namespace or its rooms, SocketsJoin,
// SocketsLeave, DisconnectSockets, and ServerSideEmit without an
// acknowledgement. The workers publish them to each other, under one topic for
// each namespace; Local keeps them in this one.
//
// What expects answers sees this worker's clients only: FetchSockets, and
// emitting with an acknowledgement to more than one client. Nobody knows how
// many workers would have to answer.
//
// Arguments get to the other workers as they get to a client, so data must be
// what Socket.IO can send, and at most 64 MiB. What one worker emits arrives in
// its order; what two emit at a time may arrive in either.
type cluster struct {
	worker *workerproto.Worker

	mu       sync.Mutex
	adapters map[string]*clusterAdapter // by topic; nil after Close, as there is no way to unsubscribe
}

// maxNamespaces keeps off the limit of topics, past which stickyd ends a
// worker: clients can choose the names of dynamic namespaces.
const maxNamespaces = 1000

func newCluster(w *workerproto.Worker) *cluster {
	return &cluster{worker: w, adapters: make(map[string]*clusterAdapter)}
}

// New makes c a socket.AdapterConstructor.
func (c *cluster) New(nsp socket.Namespace) socket.Adapter {
	a := &clusterAdapter{Adapter: socket.MakeAdapter(), cluster: c}
	a.Prototype(a)
	a.Construct(nsp)
	return a
}

// subscribe gives a the messages under its topic.
func (c *cluster) subscribe(a *clusterAdapter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	topic := a.topic()
	if _, subscribed := c.adapters[topic]; !subscribed {
		if len(c.adapters) == maxNamespaces {
			return fmt.Errorf("more than %d namespaces", maxNamespaces)
		}
		if err := c.worker.Subscribe(topic, func(payload []byte) { c.receive(topic, payload) }); err != nil {
			return err
		}
	}
	c.adapters[topic] = a
	return nil
}

// forget ends what subscribe began.
func (c *cluster) forget(a *clusterAdapter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if topic := a.topic(); c.adapters[topic] == a {
		c.adapters[topic] = nil
	}
}

func (c *cluster) receive(topic string, payload []byte) {
	c.mu.Lock()
	a := c.adapters[topic]
	c.mu.Unlock()
	if a == nil {
		return
	}
	if err := a.receive(payload); err != nil {
		log.Printf("cannot use a message of another worker about %s: %v", topic, err)
	}
}

// A clusterAdapter is the library's adapter, which knows the clients of this
// worker, and tells the other workers.
type clusterAdapter struct {
	socket.Adapter
	cluster *cluster
}

// An order is what workers tell each other.
type order struct {
	Do    deed                     `msgpack:"do"`
	Opts  *socket.BroadcastOptions `msgpack:"opts,omitempty"`
	Event [][]byte                 `msgpack:"event,omitempty"` // see encodeEvent
	Rooms []socket.Room            `msgpack:"rooms,omitempty"`
	Close bool                     `msgpack:"close,omitempty"`
}

type deed string

const (
	broadcast      deed = "broadcast"
	addSockets     deed = "add sockets"
	delSockets     deed = "del sockets"
	disconnect     deed = "disconnect"
	serverSideEmit deed = "server side emit"
)

func (a *clusterAdapter) topic() string { return "socket.io#" + a.Nsp().Name() }

// Init is called once New has returned.
func (a *clusterAdapter) Init() {
	if err := a.cluster.subscribe(a); err != nil {
		log.Printf("the clients in %s won't hear of other workers: %v", a.Nsp().Name(), err)
	}
	a.Adapter.Init()
}

func (a *clusterAdapter) Close() {
	a.cluster.forget(a)
	a.Adapter.Close()
}

func (a *clusterAdapter) Broadcast(packet *parser.Packet, opts *socket.BroadcastOptions) {
	if a.concernsOthers(opts) {
		// Encoding reads what readers are in the data to their end, so our own
		// clients get the copy that the others get, too.
		event := encodeEvent(packet)
		copied, err := decodeEvent(event)
		if err != nil {
			log.Printf("cannot emit to %s: %v", a.Nsp().Name(), err)
			return
		}
		packet = copied
		a.tell(order{Do: broadcast, Opts: opts, Event: event})
	}
	a.Adapter.Broadcast(packet, opts)
}

func (a *clusterAdapter) AddSockets(opts *socket.BroadcastOptions, rooms []socket.Room) {
	if a.concernsOthers(opts) {
		a.tell(order{Do: addSockets, Opts: opts, Rooms: rooms})
	}
	a.Adapter.AddSockets(opts, rooms)
}

func (a *clusterAdapter) DelSockets(opts *socket.BroadcastOptions, rooms []socket.Room) {
	if a.concernsOthers(opts) {
		a.tell(order{Do: delSockets, Opts: opts, Rooms: rooms})
	}
	a.Adapter.DelSockets(opts, rooms)
}

func (a *clusterAdapter) DisconnectSockets(opts *socket.BroadcastOptions, closed bool) {
	if a.concernsOthers(opts) {
		a.tell(order{Do: disconnect, Opts: opts, Close: closed})
	}
	a.Adapter.DisconnectSockets(opts, closed)
}

// ServerSideEmit lets the other workers' namespaces emit an event to their
// listeners. Alone it does nothing.
func (a *clusterAdapter) ServerSideEmit(args []any) error {
	if _, ok := args[len(args)-1].(socket.Ack); ok {
		return errors.New("cannot emit to other workers with an acknowledgement")
	}
	event := encodeEvent(&parser.Packet{Type: parser.EVENT, Data: args})
	if _, err := decodeEvent(event); err != nil {
		return fmt.Errorf("cannot emit to other workers: %w", err)
	}
	return a.publish(order{Do: serverSideEmit, Event: event})
}

// concernsOthers reports whether there are other workers, and they are meant.
func (a *clusterAdapter) concernsOthers(opts *socket.BroadcastOptions) bool {
	local := opts != nil && opts.Flags != nil && opts.Flags.Local
	return a.cluster.worker.Workers() > 0 && !local
}

// tell is publish for who can't return an error.
func (a *clusterAdapter) tell(o order) {
	if err := a.publish(o); err != nil {
		log.Printf("the other workers' clients in %s missed something (%s): %v", a.Nsp().Name(), o.Do, err)
	}
}

func (a *clusterAdapter) publish(o order) error {
	payload, err := msgpack.Marshal(&o)
	if err != nil {
		return err
	}
	return a.cluster.worker.Publish(a.topic(), payload)
}

// receive does what another worker tells, to the clients of this one: it must
// call the library's methods, not those that tell others.
func (a *clusterAdapter) receive(payload []byte) error {
	var o order
	if err := msgpack.Unmarshal(payload, &o); err != nil {
		return err
	}
	switch o.Do {
	case broadcast:
		packet, err := decodeEvent(o.Event)
		if err != nil {
			return err
		}
		a.Adapter.Broadcast(packet, o.Opts)
	case addSockets:
		a.Adapter.AddSockets(o.Opts, o.Rooms)
	case delSockets:
		a.Adapter.DelSockets(o.Opts, o.Rooms)
	case disconnect:
		a.Adapter.DisconnectSockets(o.Opts, o.Close)
	case serverSideEmit:
		packet, err := decodeEvent(o.Event)
		if err != nil {
			return err
		}
		a.Nsp().OnServerSideEmit(packet.Data.([]any))
	default: // a newer program's, while workers are being replaced
		return fmt.Errorf("%q is unknown", o.Do)
	}
	return nil
}
