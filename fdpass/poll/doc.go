// Package poll waits until descriptors are ready, in one of two ways behind
// one type, [FD]: with the runtime's own poller, which wakes a goroutine, or,
// on Linux, with a [Loop], which calls a function.
//
// A Loop is for the few descriptors on which all of the traffic begins. The
// runtime's poller registers each descriptor for everything that can happen to
// it and hands each event from one thread to another; for a program whose work
// per event is a handful of system calls that is most of the cost. A Loop waits
// and does the work itself. [Duplicate] gets a descriptor for either out of what the
// runtime's poller has.
package poll
