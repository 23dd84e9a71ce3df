package routing

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Whatever becomes of connections, members, sessions and tickets: what was
// reserved is given back, and nobody is left waiting.
func TestReservationsComeToNothing(t *testing.T) {
	for _, name := range Balancers {
		t.Run(name, func(t *testing.T) {
			b, _ := NewBalancer(name)
			r := NewRouter(b, NewTable(NewKey()), func() {})
			var mu sync.Mutex
			var all, live []*Member
			join := func(slot, generation int) {
				m := r.Join(Seat{slot, generation, 3}, nil)
				r.Add(m, slot%2 == 0)
				mu.Lock()
				defer mu.Unlock()
				all, live = append(all, m), append(live, m)
			}
			any := func() *Member {
				mu.Lock()
				defer mu.Unlock()
				return live[rand.IntN(len(live))]
			}
			for slot := range 4 {
				join(slot+1, 0)
			}
			var churn, clients sync.WaitGroup
			done := make(chan struct{})
			churn.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
					}
					id := []byte(fmt.Sprint(rand.IntN(20)))
					switch m := any(); rand.IntN(20) {
					case 0:
						r.Retire(m)
						join(m.Slot, m.Generation+rand.IntN(2))
						r.Remove(m, time.Time{})
						mu.Lock()
						for i := range live {
							if live[i] == m {
								live = append(live[:i], live[i+1:]...)
								break
							}
						}
						mu.Unlock()
					case 1, 2:
						r.Unbind(m, id)
					case 3:
						r.SetBalancer(b)
						r.SetLate(m, rand.IntN(2) == 0)
					case 4:
						r.Explain(id)
						m.State()
						r.State()
						r.table.Sweep(time.Now())
					default:
						r.Bind(m, id)
					}
				}
			})
			for range 8 {
				clients.Go(func() {
					for range 3000 {
						q := Query{Synced: rand.IntN(2) == 0}
						if rand.IntN(2) == 0 {
							q.Session = []byte(fmt.Sprint(rand.IntN(40)))
						}
						if rand.IntN(4) == 0 {
							q.From, q.Returned = any(), rand.IntN(2) == 0
						}
						if to, ok := get(r, q); ok {
							if rand.IntN(2) == 0 {
								r.Release(to)
								continue
							}
							r.Handed(to)
							r.Taken(to.Member, 1)
							if !to.Session {
								r.Settled(to.Member, 1)
							}
						}
					}
				})
			}
			clients.Wait()
			close(done)
			churn.Wait()
			for _, m := range all {
				if m.inFlight != 0 || m.pending != 0 || m.waiting.Len() != 0 {
					t.Errorf("slot %d (gone: %t) has %d in flight, %d pending and %d waiting", m.Slot, m.gone, m.inFlight, m.pending, m.waiting.Len())
				}
			}
			if r.waiting.Len() != 0 || len(r.parked) != 0 {
				t.Errorf("%d wait, for %d sessions some are parked", r.waiting.Len(), len(r.parked))
			}
		})
	}
}

// get asks for a route as the front does, and sometimes gives up.
func get(r *Router, q Query) (to Route, ok bool) {
	if to, ok := r.Try(&q); ok {
		return to, true
	}
	if q.Synced {
		r.Sync()
	}
	to, ticket := r.Route(q)
	if ticket == nil {
		return to, true
	}
	if ticket.Parked() {
		r.Unpark(ticket)
	}
	if rand.IntN(2) == 0 {
		return r.Cancel(ticket)
	}
	return <-ticket.Ready(), true
}
