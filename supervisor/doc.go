// Package supervisor keeps N copies of a command running.
//
// A slot, 1 to N, is a seat that outlives its processes; a [Worker] is one
// process in it. Each slot has a goroutine that owns its state; everybody else
// sends it events:
//
//	state ↓ event → | timer             | ready | link ended      | exited            | stop
//	waiting         | spawn → starting  |       |                 |                   | → done
//	starting        | KILL → killing    | ready | TERM → stopping | → waiting         | TERM → stopping
//	ready           | hung: dump → dumping |    | TERM → stopping | → waiting         | drain → draining
//	dumping         | KILL → killing    |       | KILL → killing  | → waiting         | KILL → killing
//	draining        | TERM → stopping   |       | (it finishes)   | → waiting or done |
//	stopping        | KILL → killing    |       |                 | → waiting or done |
//	killing         | say so, each 10 s |       |                 | → waiting or done |
//
// A link that ended by a protocol error is answered with KILL in every state.
// A ready worker that has left in an orderly way drains. One that drains and
// has ended its link gets TERM as soon as nothing of it is open.
// Second thoughts are not possible: after Kill every process gets SIGKILL.
//
// The package knows nothing of HTTP, sessions or TCP: what a worker says about
// those goes to its [Client].
package supervisor
