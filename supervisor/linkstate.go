package supervisor

import (
	"errors"
	"fmt"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A linkState is a Link that was frozen, in its dialect: one of Native and Node,
// or neither where the worker has said nothing yet. JSON keeps all of it. It owns
// its descriptors, which keep their numbers.
type linkState struct {
	Native *workerproto.LinkState `json:",omitempty"`
	Node   *nodeipc.LinkState     `json:",omitempty"`

	Socket int // of a worker that has said nothing, -1 if it never will
}

// fds returns the descriptors that the state owns.
func (s linkState) fds() []int {
	switch {
	case s.Native != nil:
		return s.Native.FDs()
	case s.Node != nil:
		return s.Node.FDs()
	case s.Socket >= 0:
		return []int{s.Socket}
	}
	return nil
}

// drop closes what the state owns but the connections that the worker had not
// taken, which are the caller's then.
func (s linkState) drop() (untaken []workerproto.Connection) {
	switch {
	case s.Native != nil:
		return s.Native.Drop()
	case s.Node != nil:
		return s.Node.Drop()
	}
	fdpass.CloseAll(s.fds())
	return nil
}

// stateOf returns what a Link that is frozen holds. All links are frozen before,
// and nothing is handed to any of them any more.
func stateOf(l Link) linkState {
	switch l := l.(type) {
	case *workerproto.Link:
		return linkState{Native: l.State(), Socket: -1}
	case *nodeipc.Link:
		return linkState{Node: l.State(), Socket: -1}
	case *undecided:
		if decided := l.decided(); decided != nil {
			return stateOf(decided)
		}
		return linkState{Socket: l.socket}
	}
	return linkState{Socket: -1}
}

// thawLink undoes stateOf. Links are run when all are thawed. After an error the
// state owns what it owned.
func (s *Supervisor) thawLink(state linkState, w *Worker) (Link, error) {
	switch {
	case state.Native != nil:
		return orError(workerproto.Thaw(state.Native, s.spec.Loop, readyHandler{w.client, w}, s.hub))
	case state.Node != nil:
		return orError(nodeipc.Thaw(state.Node, s.spec.Loop, readyHandler{w.client, w}, s.nodeOptions(w)))
	case state.Socket < 0:
		return overBefore(), nil
	}
	conn, err := fdpass.NewConn(state.Socket, s.spec.Loop)
	if err != nil {
		return nil, err
	}
	return s.newLink(conn, w), nil
}

// overBefore returns the link of a worker that ended it without a word.
func overBefore() *undecided {
	return &undecided{conn: fdpass.Closed(), closed: true, socket: -1, ran: make(chan struct{})}
}

// errNotTakenUp is what a lostLink ends with.
var errNotTakenUp = errors.New("the conversation with the worker can't be taken up")

// A lostLink is a conversation that could not be thawed, and is over.
type lostLink struct {
	*undecided
	state linkState // which owns its descriptors until Close
	err   error
}

func loseLink(state linkState, why error) Link {
	return &lostLink{overBefore(), state, fmt.Errorf("%w: %w", errNotTakenUp, why)}
}

// Run returns at once.
func (l *lostLink) Run() error { return l.err }

// Close returns what the worker had not taken, and closes the rest. It is called
// once.
func (l *lostLink) Close() []workerproto.Connection { return l.state.drop() }

// orError returns a Link that is nil where there is an error: a nil pointer
// would be a Link.
func orError[L Link](l L, err error) (Link, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Freeze stops listening to a worker that has said nothing, or is Freeze of the
// link that it has chosen.
func (u *undecided) Freeze() {
	u.mu.Lock()
	l := u.link
	going := l == nil && !u.closed
	u.frozen = u.frozen || going
	u.mu.Unlock()
	switch {
	case l != nil:
		l.Freeze()
	case going:
		socket, err := u.conn.Detach() // ends Run
		<-u.ran
		if err == nil {
			u.socket = socket
		}
	}
}
