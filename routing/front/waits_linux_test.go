package front

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each connection that is handed over counts as one that has waited, if only for no
// time at all.
func TestCountsHowLongConnectionsWait(t *testing.T) {
	y := newYard(t, 1)
	expect := func(handed int64, what string) {
		t.Helper()
		eventually(t, what, func() bool {
			heads, queued := y.Stats.HeadWait.Count(), y.Stats.QueueWait.Count()
			return y.Stats.Handed.Load() == handed && heads == uint64(handed) && queued == uint64(handed)
		})
	}
	waited := func(h *Histogram) time.Duration { return time.Duration(h.sum.Load()) }
	const pause = 20 * time.Millisecond
	come := func(text string) (client int) {
		client, accepted := clientOf(t, text)
		t.Cleanup(func() { unix.Close(client) })
		y.admitAlone(Conn{FD: accepted})
		return client
	}
	come(request)
	expect(1, "one goes at once")
	if heads, queued := waited(&y.Stats.HeadWait), waited(&y.Stats.QueueWait); heads+queued != 0 {
		t.Errorf("it waited for %v and %v", heads, queued)
	}
	half := come(request[:5])
	awaitHeads(t, y.Front, 1)
	time.Sleep(pause) // it waits at least that long
	unix.Write(half, []byte(request[5:]))
	expect(2, "the whole head is handed over")
	if heads, queued := waited(&y.Stats.HeadWait), waited(&y.Stats.QueueWait); heads < pause || queued != 0 {
		t.Errorf("it waited %v for its head, and %v for a worker", heads, queued)
	}
	heads := waited(&y.Stats.HeadWait)
	come(request) // for which nobody has room
	time.Sleep(pause)
	y.router.Taken(y.members[0], 1)
	expect(3, "it gets a worker")
	if queued := waited(&y.Stats.QueueWait); queued < pause || waited(&y.Stats.HeadWait) != heads {
		t.Errorf("it waited %v for a worker", queued)
	}
	y.waiters.wait()
}
