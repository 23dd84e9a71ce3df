// Package session says what a session id is and where it stands in the head of
// an HTTP/1.1 request.
//
// Both sides of stickyd read heads with it, the front the raw bytes that it
// peeked ([Sources.FromHead]) and the worker library the request that net/http
// has parsed ([Sources.FromRequest]), and they must agree: a request that the
// one sends to the owner of "a" and the other takes for a session "b" would go
// round in circles. So both run the same code.
//
// The package is pure: it reads bytes and knows no connection, session or
// worker.
package session
