package instance

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/supervisor/upgrade"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A meta is what the rooms knew when they were frozen, beside the session
// table. It owns the descriptors in it.
type meta struct {
	Config                config.Config
	Started               time.Time
	At                    time.Time // when accepting ended
	Upgrades              int64
	Reloads               int64
	Reload                bool // signals have asked for it
	Scale                 int  // and for so many workers more
	Upgrade               bool // and for another one
	Watched               *watched
	Followed, DefaultOpen bool
	Preload               string // directory
	Listeners             []front.ListenerState
	Places                []string // where clients have connected, see front.Doors.Served
	Front                 front.State
	Sockets               []nodeipc.SocketState
	Router                routing.RouterState
	Members               []routing.MemberState
	Dead                  map[uint32]deadWorker `json:"-"` // by incarnation; another program gets no sessions of theirs
	Supervisor            *supervisor.State     // nil in what is only to be checked
	Endpoints             admin.EndpointsState
	Caller                int // who asked for it; -1: nobody
	Logs                  logs.State
}

// table is the name of the session table in a state.
const table = "sessions"

// descriptors returns what m owns.
func (m *meta) descriptors() (fds []int) {
	for _, ln := range m.Listeners {
		fds = append(fds, ln.FD)
	}
	for _, w := range m.Front.Waiting {
		fds = append(fds, w.FD)
	}
	for _, s := range m.Sockets {
		fds = append(fds, s.FD)
	}
	fds = append(fds, m.Supervisor.Descriptors()...)
	fds = append(fds, m.Endpoints.Descriptors()...)
	if m.Caller >= 0 {
		fds = append(fds, m.Caller)
	}
	return fds
}

func (a *app) write(m *meta) (*os.File, error) {
	return upgrade.Write(m, map[string]func(io.Writer) error{table: func(w io.Writer) error {
		_, err := a.table.WriteTo(w)
		return err
	}})
}

// A before is what an app is built from where there was one before.
type before struct {
	meta  *meta
	table *routing.Table
}

// startOf returns c less what it takes more for than to say so: change does that.
func (b *before) startOf(c *config.Config) *config.Config {
	start := *c
	config.Keep(&start, &b.meta.Config, config.Listened, config.Scaled, config.Replaced, config.OnStart)
	start.ListenByDefault = b.meta.Config.ListenByDefault
	return &start
}

// gap is how long nobody has been accepted.
func (b *before) gap() time.Duration {
	return time.Since(b.meta.At).Round(10 * time.Microsecond)
}

// readBefore makes nothing of what it reads: after an error all can be given back.
func readBefore(s *upgrade.State) (*before, error) {
	b := &before{meta: new(meta)}
	if err := s.Meta(b.meta); err != nil {
		return nil, err
	}
	if workers := b.meta.Supervisor; workers != nil {
		if err := workers.Check(); err != nil {
			return nil, fmt.Errorf("cannot take over the workers: %w", err)
		}
	}
	r, ok := s.Blob(table)
	if !ok {
		return nil, errors.New("the state has no session table")
	}
	var err error
	b.table, err = routing.ReadTable(r)
	return b, err
}
