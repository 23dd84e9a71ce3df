package routing

import "container/list"

// A Ticket is a place in a queue for a member with room, or in the parking for
// a registration. Its holder receives from Ready, or calls Router.Cancel.
type Ticket struct {
	query  Query
	ready  chan Route // buffered 1; gets at most one
	parked bool       // was, when it was handed out

	place *list.Element // in queue; both are nil once it left
	queue *list.List
}

// Ready returns the channel on which the route comes, once.
func (t *Ticket) Ready() <-chan Route { return t.ready }

// Parked says that the connection waits for the registration of its session.
// The holder calls Router.Unpark when it has waited long enough.
func (t *Ticket) Parked() bool { return t.parked }

func (t *Ticket) push(queue *list.List) {
	t.queue, t.place = queue, queue.PushBack(t)
}

// pop takes the ticket that has waited longest out of queue, nil if it is empty.
func pop(queue *list.List) *Ticket {
	front := queue.Front()
	if front == nil {
		return nil
	}
	t := queue.Remove(front).(*Ticket)
	t.queue, t.place = nil, nil
	return t
}

// Cancel gives up waiting. If the route had come already, it is returned, and
// is the caller's to use or to Release.
func (r *Router) Cancel(t *Ticket) (route Route, came bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case route = <-t.ready:
		return route, true
	default:
	}
	r.parked.take(t)
	if t.queue != nil {
		t.queue.Remove(t.place)
		t.queue, t.place = nil, nil
	}
	return Route{}, false
}
