// Package routing decides which worker gets a connection: by its session, and
// else by the balancer that the user chose.
//
// It is pure: it does no I/O, starts no goroutine and has no clock. A
// [Router] is told what happens ([Router.Add], [Router.Bind], [Router.Taken],
// …) and answers where a connection goes ([Router.Try] if that can be said at
// once, [Router.Route] in any case); whoever has to wait
// for a worker waits on a [Ticket] that the router hands out in order.
//
// What a target is, and how it takes a connection, is the caller's business.
package routing
