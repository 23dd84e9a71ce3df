package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stickyd/stickyd/fdpass/address"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// Doors are the listeners of one front, which may change while they are served.
// Serve runs them; AtPort, Served, Adopted and Addrs may be called from any goroutine,
// the others, SetConfig included, by one at a time.
type Doors struct {
	front *Front
	loop  *poll.Loop // nil: the runtime's poller waits
	log   *slog.Logger

	open    atomic.Pointer[[]*Listener]
	added   chan *Listener // to Serve, once that runs
	failed  chan error     // to Serve
	ended   chan struct{}  // closed by Stop and Detach
	served  chan struct{}  // closed when Serve has returned
	serving sync.WaitGroup

	mu      sync.Mutex
	leaving map[*Listener]chan struct{} // those that Change took away; closed when they are
	places  []string                    // of all listeners that there have been, see Served
}

// NewDoors returns none.
func NewDoors(f *Front, loop *poll.Loop, log *slog.Logger) *Doors {
	d := &Doors{
		front: f, loop: loop, log: log,
		added: make(chan *Listener, maxDoors), failed: make(chan error), ended: make(chan struct{}), served: make(chan struct{}),
		leaving: make(map[*Listener]chan struct{}),
	}
	d.open.Store(new([]*Listener))
	return d
}

// maxDoors is how many listeners there may be.
const maxDoors = 1024

// Open opens all listeners, or none.
func (d *Doors) Open(addrs []string) error {
	opened, err := d.listen(addrs, nil)
	if err != nil {
		return err
	}
	d.add(opened)
	return nil
}

// listen opens listeners, of which some may have the port of some in instead, which
// still listen: they are to come in their place. Those come last, since they get
// clients at once, whom nobody serves before all are open.
func (d *Doors) listen(addrs []string, instead []*Listener) (opened []*Listener, err error) {
	for _, addr := range addrs {
		// The address of one that Change took away is free when that is closed. (A
		// Unix socket's is at once.)
		d.await(func(ln *Listener) bool { return ln.path == "" && ln.IsAt(addr) })
	}
	opened = make([]*Listener, len(addrs))
	for _, shares := range []bool{false, true} {
		for i, addr := range addrs {
			old := atPort(instead, addr)
			if len(old) > 0 != shares {
				continue
			}
			if opened[i], err = listenInstead(addr, old, d.loop); err != nil {
				for _, ln := range opened {
					if ln != nil {
						ln.Close()
					}
				}
				return nil, err
			}
		}
	}
	return opened, nil
}

// Adopt adds a listening socket that somebody else has opened, see FromFD.
func (d *Doors) Adopt(fd int) error {
	ln, err := FromFD(fd, d.loop)
	if err == nil {
		d.add([]*Listener{ln})
	}
	return err
}

// Adopted reports whether there is one that somebody else has opened, see Adopt.
func (d *Doors) Adopted() bool {
	return slices.ContainsFunc(*d.open.Load(), func(ln *Listener) bool { return ln.written == "" })
}

// Restore adds a listener that Detach gave away.
func (d *Doors) Restore(s ListenerState) error {
	ln, err := RestoreListener(s, d.loop)
	if err == nil {
		ln.announced = true
		d.have(*d.open.Load(), []*Listener{ln})
	}
	return err
}

// SetConfig changes the configuration of the front, and with it whether silent
// clients are accepted.
func (d *Doors) SetConfig(c Config) {
	d.front.SetConfig(c)
	for _, ln := range *d.open.Load() {
		ln.deferAccept(d.front.peeks())
	}
}

func (d *Doors) add(lns []*Listener) {
	d.have(*d.open.Load(), lns)
	for _, ln := range lns {
		d.announce(ln, false)
	}
}

// have lets the listeners be those that were and those that are new.
func (d *Doors) have(old, added []*Listener) {
	all := append(slices.Clone(old), added...)
	d.open.Store(&all)
	for _, ln := range added {
		ln.deferAccept(d.front.peeks())
		d.Remember([]string{address.PlaceOf(ln.Addr())})
		d.added <- ln
	}
}

// Announce says in the log, once, that there is a listener at which clients of addr
// arrive, see ChangeQuietly. tls says that they speak TLS.
func (d *Doors) Announce(addr string, tls bool) {
	for _, ln := range *d.open.Load() {
		if ln.isFor(addr) {
			d.announce(ln, tls)
		}
	}
}

func (d *Doors) announce(ln *Listener, tls bool) {
	if !ln.announced {
		ln.announced = true
		d.log.Info("listening", ln.told(tls)...)
	}
}

// told are the attributes of l in the log: its address, and what a person opens.
func (l *Listener) told(tls bool) []any {
	attrs := []any{"addr", l.addr.String()}
	if url := address.URL(l.addr); url != "" {
		if tls {
			url = "https" + strings.TrimPrefix(url, "http")
		}
		attrs = append(attrs, "url", url)
	}
	return attrs
}

// Serve serves all listeners until Stop or Detach is called, or one fails.
func (d *Doors) Serve() error {
	defer close(d.served)
	for {
		select {
		case ln := <-d.added:
			d.serving.Go(func() { d.serve(ln) })
		case err := <-d.failed:
			return err
		case <-d.ended:
			return nil
		}
	}
}

func (d *Doors) serve(ln *Listener) {
	err := d.front.Serve(ln)
	if err == nil {
		return
	}
	d.Fail(err)
}

// Stop ends Serve, which must have been called, and closes all, see Front.Stop.
func (d *Doors) Stop(ctx context.Context) {
	d.end()
	d.front.Stop(ctx, *d.open.Load())
	d.serving.Wait()
	d.Settle()
}

func (d *Doors) end() {
	select {
	case <-d.ended:
	default:
		close(d.ended)
	}
	<-d.served
}

// Settle returns when those are closed that Change took away. It may be called
// from any goroutine.
func (d *Doors) Settle() { d.await(func(*Listener) bool { return true }) }

// Close closes all that Open opened, before Serve was called.
func (d *Doors) Close() {
	for _, ln := range *d.open.Load() {
		ln.Close()
	}
}

// Detach ends Serve, gives all sockets away, and returns when nothing is
// accepted any more, also from those that Change took away. What is accepted
// goes to the front.
func (d *Doors) Detach() (all []ListenerState, err error) {
	d.end()
	for _, ln := range *d.open.Load() {
		s, detachErr := ln.Detach()
		if err = errors.Join(err, detachErr); detachErr == nil {
			all = append(all, s)
		}
	}
	d.open.Store(new([]*Listener))
	d.serving.Wait()
	d.Settle()
	return all, err
}

// Addrs returns where clients connect, in the order in which that was opened.
func (d *Doors) Addrs() (addrs []net.Addr) {
	for _, ln := range *d.open.Load() {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}

// Covering returns the address of the listener that clients of addr, which is
// written as for Listen, come to, if there is one.
func (d *Doors) Covering(addr string) (at net.Addr, ok bool) {
	for _, ln := range *d.open.Load() {
		if ln.isFor(addr) {
			return ln.Addr(), true
		}
	}
	return nil, false
}

// AtPort returns the address of the first listener at the port of addr, on whatever
// host, or at the path.
func (d *Doors) AtPort(addr string) (at net.Addr, ok bool) {
	for _, ln := range *d.open.Load() {
		if ln.IsAt(addr) {
			return ln.Addr(), true
		}
	}
	return nil, false
}

// Written returns the addresses of those that Open and Change have opened, as they
// were given them.
func (d *Doors) Written() (addrs []string) {
	for _, ln := range *d.open.Load() {
		if ln.written != "" {
			addrs = append(addrs, ln.written)
		}
	}
	return addrs
}

// Fail ends Serve with an error, unless it has ended.
func (d *Doors) Fail(err error) {
	select {
	case d.failed <- err:
	case <-d.ended:
	case <-d.served:
	}
}
