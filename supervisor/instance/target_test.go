package instance

import (
	"testing"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/supervisor"
)

// A link that has, or has not, seen its worker register a session late.
type link struct {
	supervisor.Link
	late bool
}

func (l *link) RegistersLate() bool { return l.late }

// A worker that begins to register late, or stops it, long after it got ready is
// waited for from then on, or no longer.
func TestHowAWorkerRegistersMayChange(t *testing.T) {
	b, err := routing.NewBalancer("round-robin")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{router: routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() {})}
	l := new(link)
	w := &target{app: a, worker: &supervisor.Worker{Link: l}}
	w.member = a.router.Join(routing.Seat{Slot: 1, Window: 100}, w)
	a.router.Add(w.member, l.RegistersLate())
	for _, late := range []bool{false, true, false} {
		if l.late = late; !w.Bind([]byte("known")) {
			t.Fatal("refused")
		}
		_, ticket := a.router.Route(routing.Query{Session: []byte("unknown")})
		if waits := ticket != nil && ticket.Parked(); waits != late {
			t.Errorf("a worker is late: %t; an unknown id waits: %t", late, waits)
		}
	}
}
