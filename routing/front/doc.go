// Package front is stickyd's door: it listens, accepts, looks at the head of
// what a client sends, asks package routing who gets the connection, and hands
// it over.
//
// It only peeks (recv(2), MSG_PEEK): what the client sent stays in the kernel,
// and the worker finds the connection as if it had accepted it. After the
// hand-over nothing of the connection is left here.
//
// The usual connection has its head there when it is accepted and a worker
// with room: it is accepted, peeked at, routed and handed over in one go, with
// neither a goroutine nor an allocation. It goes in a round with others: what is
// for one target leaves with one send, and where nobody is known to own a
// session, one reading of what workers have said serves for all. A connection
// that has to wait, for the rest of its head or for a worker, gets a goroutine, a
// deadline, and a place among a bounded number of others, until its client is gone.
//
// A round is the same whoever calls for it: a [poll.Loop], or a goroutine that
// the runtime's poller wakes.
//
// The descriptor of a connection has one owner at any time: the function that
// has the [Conn], until [Target.Hand] takes it or [Front] closes it.
//
// A front can give up everything without closing anything, for another one that
// goes on, in this program or in its successor: first the listeners are detached
// ([Listener.Detach]), so that new clients queue up in the kernel; then nobody
// waits any more ([Front.Freeze]) and no target is handed anything, so that
// targets can be frozen, too; then what they have given back meanwhile, and all
// who waited, are in [Front.State], and the other one has [Front.Resume].
//
// The package does not know how a target delivers, and chooses none itself.
package front
