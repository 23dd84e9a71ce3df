package instance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// places says where servers of Node workers may listen: it is a nodeipc.Places.
// Unless the operator has said where clients connect, stickyd listens where these
// servers want to, as a primary of Node's cluster module does, and for as long as
// they do.
type places struct {
	app     *app
	follows atomic.Bool // nobody has said where clients connect

	mu      sync.Mutex
	claims  []*claim      // in the order in which they came
	changed chan struct{} // buffered 1: settle is to be called
}

// A claim is an address at which servers of workers want clients' connections.
type claim struct {
	addr    string
	tls     bool
	users   int                          // servers
	left    time.Time                    // when the last one's worker ended, and no server had closed it
	opened  bool                         // stickyd listens there for it
	said    bool                         // a server has said that it listens
	answers []func(at string, err error) // of servers that wait
}

// remembersClaim is how long stickyd goes on to listen where only workers did that
// have ended: others may come in their place.
const remembersClaim = time.Minute

func newPlaces(a *app, follows bool) *places {
	p := &places{app: a, changed: make(chan struct{}, 1)}
	p.follows.Store(follows)
	return p
}

// IsDoor is nodeipc's.
func (p *places) IsDoor(addr string) bool {
	_, is := p.app.doors.AtPort(addr)
	return is
}

// Follows is nodeipc's.
func (p *places) Follows() bool { return p.follows.Load() }

// Claim is nodeipc's.
func (p *places) Claim(addr string, tls bool, answer func(at string, err error)) (release func(closed bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.claimLocked(addr, tls)
	c.answers = append(c.answers, answer)
	p.signal()
	return p.releaseOnce(c)
}

// Reclaim is nodeipc's.
func (p *places) Reclaim(addr string, tls bool) (release func(closed bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.claimLocked(addr, tls)
	c.opened = true
	p.signal()
	return p.releaseOnce(c)
}

// Opened is nodeipc's.
func (p *places) Opened(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		if c.addr == addr && !c.said {
			c.said = true
			p.signal()
		}
	}
}

// Open is nodeipc's. Workers of another user may not have what root may.
func (p *places) Open(network, addr string, nth int) (fd int, release func(), err error) {
	if p.app.config.Load().User != "" {
		return p.app.sockets.OpenUnprivileged(network, addr, nth)
	}
	return p.app.sockets.Open(network, addr, nth)
}

// Reacquire is nodeipc's.
func (p *places) Reacquire(network, addr string, nth int) (release func(), err error) {
	return p.app.sockets.Reacquire(network, addr, nth)
}

func (p *places) claimLocked(addr string, tls bool) *claim {
	i := slices.IndexFunc(p.claims, func(c *claim) bool { return c.addr == addr && c.tls == tls })
	if i < 0 {
		i = len(p.claims)
		p.claims = append(p.claims, &claim{addr: addr, tls: tls})
	}
	c := p.claims[i]
	c.users++
	return c
}

// releaseOnce returns what undoes one claimLocked.
func (p *places) releaseOnce(c *claim) (release func(closed bool)) {
	var once sync.Once
	return func(closed bool) { once.Do(func() { p.release(c, closed) }) }
}

func (p *places) release(c *claim, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.users--; c.users > 0 {
		return
	}
	if !closed {
		c.left = time.Now()
		time.AfterFunc(remembersClaim, p.signal)
		return
	}
	p.claims = slices.DeleteFunc(p.claims, func(other *claim) bool { return other == c })
	p.signal()
}

func (p *places) signal() {
	select {
	case p.changed <- struct{}{}:
	default: // it will be settled
	}
}

// wanted returns where stickyd is to listen if it follows the workers, but for
// claims that are new. It forgets those whose workers have ended long ago.
func (p *places) wanted() (addrs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alone := func(c *claim) bool { return c.users == 0 && time.Since(c.left) >= remembersClaim }
	if !slices.ContainsFunc(p.claims, func(c *claim) bool { return c.users > 0 }) {
		alone = func(*claim) bool { return false } // all are about to come again
	}
	p.claims = slices.DeleteFunc(p.claims, alone)
	for _, c := range p.claims {
		if c.opened {
			addrs = append(addrs, c.addr)
		}
	}
	return addrs
}

// listening returns where servers have said that they listen.
func (p *places) listening() (all []claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		if c.said {
			all = append(all, claim{addr: c.addr, tls: c.tls})
		}
	}
	return all
}

// needed returns addrs less those that another one of them has, too.
func needed(addrs []string) (all []string) {
	for i, addr := range addrs {
		covered := slices.ContainsFunc(addrs[:i], func(before string) bool { return before == addr || isAnyHostAt(before, addr) }) ||
			!isAnyHostAt(addr, addr) && slices.ContainsFunc(addrs[i+1:], func(later string) bool { return isAnyHostAt(later, addr) })
		if !covered {
			all = append(all, addr)
		}
	}
	return all
}

// isAnyHostAt reports whether one address is that of all hosts, at the port of
// another.
func isAnyHostAt(one, other string) bool {
	host, port, err := net.SplitHostPort(one)
	_, otherPort, otherErr := net.SplitHostPort(other)
	ip, _ := netip.ParseAddr(host)
	return err == nil && otherErr == nil && port == otherPort && port != "0" && (host == "" || ip.IsUnspecified())
}

// A question is a claim that waits for an answer. It may be given up meanwhile.
type question struct {
	addr    string
	answers []func(at string, err error)
}

// takeNew returns the questions that are to be answered.
func (p *places) takeNew() (all []question) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		if len(c.answers) > 0 {
			all = append(all, question{c.addr, c.answers})
			c.answers = nil
		}
	}
	return all
}

// claimed returns where workers want clients to connect, whether stickyd listens
// there or not.
func (p *places) claimed() (addrs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		addrs = append(addrs, c.addr)
	}
	return needed(addrs)
}

// note notes that stickyd listens for claims at those addresses.
func (p *places) note(addrs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		c.opened = c.opened || slices.Contains(addrs, c.addr)
	}
}

// anyTLS returns where a server speaks TLS, if one does.
func (p *places) anyTLS() (addr string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.claims {
		if c.tls {
			return c.addr, true
		}
	}
	return "", false
}

// settlePlaces listens where workers want to, if the operator has not said where,
// and answers those that wait.
func (a *app) settlePlaces() {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.goesOn() {
		return // who goes on is asked anew
	}
	questions := a.places.takeNew()
	follows := a.places.Follows()
	if addr, tls := a.places.anyTLS(); a.front.PassTLS(tls) != tls && tls {
		a.log.Warn("a server of the workers speaks TLS, in which stickyd cannot see session ids: its connections are only balanced, and sessions that poll break",
			"addr", addr, "hint", "put a proxy in front that ends TLS, or let --balance client-address keep each client with its worker")
	}
	if follows {
		a.listenAsWanted(a.places.wanted())
		a.openListening()
	}
	for _, q := range questions {
		at, err := a.settleClaim(q.addr, follows)
		for _, answer := range q.answers {
			answer(at, err)
		}
	}
}

// settleClaim listens for a server, if that is for it to say, and returns where
// clients connect. At a port at which clients connect already it is only listened once the server has
// said that it listens: one that a worker has for a moment, as it comes up, is to
// disturb nobody.
func (a *app) settleClaim(addr string, follows bool) (at string, err error) {
	if _, there := a.doors.AtPort(addr); follows && !there {
		if err := a.listenFor(addr); err != nil {
			return "", err
		}
	}
	return a.clientsAt(addr)
}

// openListening listens where servers have said that they do, and says so.
func (a *app) openListening() {
	for _, c := range a.places.listening() {
		if err := a.listenFor(c.addr); err != nil {
			a.log.Error("cannot listen where a worker does", "addr", c.addr, "err", err)
			continue
		}
		a.doors.Announce(c.addr, c.tls)
	}
}

// listenFor listens at one address more.
func (a *app) listenFor(addr string) error {
	if _, covered := a.doors.Covering(addr); !covered {
		if a.config.Load().User != "" && nodeipc.NeedsRights(addr) {
			return os.NewSyscallError("bind", syscall.EACCES) // it is the worker's wish, and not the operator's
		}
		if err := a.doors.ChangeQuietly(impatient(), needed(append(a.places.wanted(), addr))); err != nil {
			return err
		}
		a.defaultOpen = false
		a.endpoints.Follow(a.doors.Addrs()[0])
	}
	a.places.note(addr)
	return nil
}

// listenAsWanted listens no longer where no worker wants to.
func (a *app) listenAsWanted(addrs []string) {
	addrs = needed(addrs)
	surplus := slices.ContainsFunc(a.doors.Written(), func(addr string) bool { return !slices.Contains(addrs, addr) })
	if !surplus || len(addrs) == 0 && a.defaultOpen {
		return
	}
	if err := a.doors.ChangeQuietly(impatient(), addrs); err != nil {
		a.log.Error("cannot listen where the workers do", "listen", strings.Join(addrs, " "), "err", err)
	}
}

// clientsAt is where clients connect to reach a server that listens at addr, as
// the server's worker is to see it.
func (a *app) clientsAt(addr string) (string, error) {
	at, asAsked := a.doors.Covering(addr)
	if !asAsked {
		asAsked = a.places.Follows() // or it will be
		var there bool
		if at, there = a.doors.AtPort(addr); !there {
			all := a.doors.Addrs()
			if len(all) == 0 {
				return "", errNowhere
			}
			at = all[0]
			a.tellIgnored(addr)
		}
	}
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return "unix:" + at.String(), nil
	}
	if host, _, err := net.SplitHostPort(addr); asAsked && err == nil && host != "" {
		return net.JoinHostPort(host, strconv.Itoa(tcp.Port)), nil
	}
	return tcp.AddrPort().String(), nil
}

// errNowhere answers a worker whose address stickyd could not listen on.
var errNowhere = errors.New("stickyd listens nowhere")

// tellIgnored says once that it does not matter where workers listen.
func (a *app) tellIgnored(addr string) {
	if a.followed {
		return
	}
	a.followed = true
	a.log.Info("workers get their connections from stickyd; the address that they listen on is ignored",
		"addr", addr, "listen", strings.Join(a.config.Load().Listen, " "))
}

// listenByDefault listens at the default address if nobody has said where
// clients connect, neither the operator nor a worker, and one is ready.
func (a *app) listenByDefault() {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.goesOn() || !a.places.Follows() || len(a.doors.Addrs()) > 0 {
		return
	}
	if err := a.doors.Open([]string{config.DefaultListen}); err != nil {
		a.doors.Fail(err)
		return
	}
	a.defaultOpen = true
	a.endpoints.Follow(a.doors.Addrs()[0])
}

// impatient is a context that is done.
func impatient() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
