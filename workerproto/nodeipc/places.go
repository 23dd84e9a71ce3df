package nodeipc

// Places are where servers of workers may listen. Methods may be called from any
// goroutine, and none blocks.
type Places interface {
	// IsDoor reports whether clients come to stickyd at that address, on whatever
	// host, so that a server that wants to listen there gets their connections.
	// Addresses are "host:port", with an empty host for all, or "unix:/path".
	IsDoor(addr string) bool

	// Follows reports whether stickyd listens for clients where workers want to:
	// nobody has told it another place.
	Follows() bool

	// Claim asks for clients' connections in the name of a server that wants to
	// listen at addr. answer is called once, later and from another goroutine,
	// with where clients connect, as "ip:port" or "unix:/path", or with an error;
	// it may not be called at all if the claim is released before. release, which
	// must be called, gives the claim up; closed says that the server listens no
	// more though its worker lives.
	Claim(addr string, tls bool, answer func(at string, err error)) (release func(closed bool))

	// Opened says that a server which was answered listens there.
	Opened(addr string)

	// Reclaim is Claim for a server that has been answered already, by the
	// program before this one.
	Reclaim(addr string, tls bool) (release func(closed bool))

	// Open opens a socket that workers share. The descriptor is the caller's;
	// release is called when the server needs the socket no longer. Network and
	// addr are as in package net, nth tells apart those that are alike.
	Open(network, addr string, nth int) (fd int, release func(), err error)

	// Reacquire is Open for a socket that is open already, and that the server has.
	Reacquire(network, addr string, nth int) (release func(), err error)
}
