// Package supervisor keeps N copies of a command running.
//
// A slot, 1 to N, is a seat that outlives its processes; a [Worker] is one
// process in it. Each slot has a goroutine that owns its state; everybody else
// sends it events:
//
//	state ↓ event → | timer                 | ready | link ended      | exited    | leave      | stop
//	waiting         | spawn → starting      |       |                 |           | → vacant   | → done
//	starting        | look; KILL → killing  | ready | → closed        | → waiting | → stopping | TERM → stopping
//	ready           | hung: dump → dumping  |       | → closed        | → waiting | → draining | → finishing
//	dumping         | KILL → killing        |       |                 | → waiting |            | KILL → killing
//	draining        | none left, or time over → finishing; hung → dumping | | → closed | → vacant | | → finishing
//	finishing       | TERM → stopping       |       | (it finishes)   | → vacant  |            |
//	closed          | TERM → stopping       |       |                 | → waiting | → stopping | TERM → stopping
//	stopping        | KILL → killing        |       |                 | → waiting |            |
//	killing         | say so, each 10 s     |       |                 | → waiting |            |
//	drained         |                       |       |                 |           | → done     | → done
//
// To drain is to keep sessions and get no new ones; to finish, to answer what is
// open and get nothing any more. Vacant is done, or drained where the slot is to
// stay; what has been told to leave, or to stop, goes there instead of waiting.
//
// A link that ended by a protocol error is answered with KILL in every state.
// A ready worker that has left in an orderly way finishes. One that finishes gets
// TERM as soon as it has no client any more; a native one, which ends by itself, only
// if it has ended its link. A worker has exited when its process has; in finishing
// and stopping, when what that has left behind has ended as well (see linger.go).
// Second thoughts are not possible: after Kill every process gets SIGKILL.
//
// # What a worker starts
//
// A worker is more than the process that it began with. What it starts is in its
// process group, or has left that, and is found by its mark (see mark) and by its
// parents. All of it ends with the worker: at once if the worker has died, and after
// SIGTERM and as much time as a worker has if it was asked to stop (see linger.go).
//
// # More than one generation
//
// A worker is replaced by an heir: another slot of the same number, on trial.
// When it has been ready for a while the old slot is told to leave. A monitor
// hears of crashes of heirs until all old workers are gone. What replaces
// many, one after the other, is an operation, of which one is under way at a time
// (Restart, Scale, Drain, and what Begin begins), and which Cancel ends; each
// rolling restart begins a generation.
//
// # Freeze and Resume
//
// Freeze puts all of it down without a word to the workers, and Resume takes it
// up from the State, in this program or in another that was executed in its place.
//
// The package knows nothing of HTTP, sessions or TCP: what a worker says about
// those goes to its [Client].
package supervisor
