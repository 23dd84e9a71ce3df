// Package instance is one running stickyd: the rooms, joined. A configuration
// becomes a router, a front, a supervisor and the endpoints where stickyd is
// asked, and these run as one group, in which the first that ends ends them all.
//
// When stickyd is upgraded in place the rooms are frozen, and wired anew from what
// they knew: in the new program, or, if that can't be executed, here.
//
// It is where routing and supervisor, which do not know each other, meet: see
// target.
package instance
