// Package routing decides which worker gets a connection: by its session, and
// else by the balancer that the user chose.
//
// It is pure: it does no I/O, starts no goroutine and has no clock. A
// [Router] is told what happens ([Router.Add], [Router.Bind], [Router.Taken],
// …) and answers where a connection goes ([Router.Try] if that can be said at
// once, [Router.Route] in any case); whoever has to wait
// for a worker waits on a [Ticket] that the router hands out in order.
//
// Two members may be in one slot while one replaces the other; the later
// generation gets what is new, the earlier one keeps its sessions until it is
// removed ([Seat], [Router.Retire]). What is known of the dead is kept until
// [Table.Sweep], to tell their sessions from those that never were
// ([Router.Explain]).
//
// Another process goes on where one stopped with what [Table.WriteTo],
// [Router.State] and [Member.State] say: [ReadTable], [Router.Restore] and
// [Router.Rejoin]. Where that is written is the caller's business.
//
// What a target is, and how it takes a connection, is so too.
package routing
