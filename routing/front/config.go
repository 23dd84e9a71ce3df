package front

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyd/stickyd/routing/session"
)

// ClientFrom says which address of a connection the balancer goes by.
type ClientFrom int

const (
	NoClient     ClientFrom = iota // it goes by none
	PeerAddress                    // the other end of the connection
	ForwardedFor                   // X-Forwarded-For, see forwardedClient
)

// Config says what to look for in a head, and bounds what a client that is not
// routed yet may cost.
type Config struct {
	Sessions session.Sources
	Client   ClientFrom
	Trusted  []netip.Prefix // proxies whose entries in X-Forwarded-For are passed over

	HeadTimeout  time.Duration // from accept to a whole head, then 408
	HeadBytes    int           // of a head, then 414 or 431
	ParkTimeout  time.Duration // for the registration of a session that may come late
	QueueTimeout time.Duration // for a worker with room, then 503
	MaxWaiting   int           // connections that wait, for either
}

// settings are a Config and what follows from it. They are never changed, so
// that whoever has got them has all of one configuration.
type settings struct {
	Config
	tls      *atomic.Bool // see Front.PassTLS
	needHead bool         // not only the request line
	peeks    bool         // anything at all
	*search
	buffers sync.Pool // of *[]byte, see newBuffer
}

func newSettings(c Config, tls *atomic.Bool, search *search) *settings {
	s := &settings{
		Config:   c,
		tls:      tls,
		search:   search,
		needHead: c.Sessions.NeedHeader() || c.Client == ForwardedFor,
		peeks:    len(c.Sessions.Strings()) > 0 || c.Client == ForwardedFor,
	}
	s.buffers.New = func() any {
		b := s.newBuffer()
		return &b
	}
	return s
}

// SetConfig changes the configuration, at any time. A connection that waits goes
// on waiting as it has begun: for its head as long as it was told then, and the
// head is looked at with what was configured then; the new configuration holds
// for what it waits for next. A lower MaxWaiting sends nobody away who waits. Where
// there are Doors, call theirs.
func (f *Front) SetConfig(c Config) {
	f.settings.Store(newSettings(c, &f.tls, f.searchFor(c.Sessions.Strings())))
	f.waiters.setMax(c.MaxWaiting)
}

// peeks reports whether a connection is looked at before it is handed over. If not,
// its client may wait to be spoken to.
func (f *Front) peeks() bool { return f.settings.Load().peeks }
