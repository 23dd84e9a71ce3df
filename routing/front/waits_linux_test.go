package front

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Waits are counted of those that wait, and of them alone.
func TestCountsHowLongConnectionsWait(t *testing.T) {
	y := newYard(t, 1)
	const pause = 20 * time.Millisecond
	come := func(text string) (client int) {
		client, accepted := clientOf(t, text)
		t.Cleanup(func() { unix.Close(client) })
		y.admitAlone(Conn{FD: accepted})
		return client
	}
	come(request)
	if y.Stats.Handed.Load() != 1 || y.Stats.HeadWait.Count() != 0 || y.Stats.QueueWait.Count() != 0 {
		t.Fatalf("%d went at once, %d and %d waited", y.Stats.Handed.Load(), y.Stats.HeadWait.Count(), y.Stats.QueueWait.Count())
	}
	half := come(request[:5])
	awaitHeads(t, y.Front, 1)
	time.Sleep(pause) // it waits at least that long
	unix.Write(half, []byte(request[5:]))
	eventually(t, "the whole head is handed over", func() bool { return y.Stats.HeadWait.Count() == 1 })
	if _, _, sum := y.Stats.HeadWait.Snapshot(); sum < pause.Seconds() {
		t.Errorf("it waited for its head for %v s", sum)
	}
	come(request) // for which nobody has room
	time.Sleep(pause)
	y.router.Taken(y.members[0], 1)
	eventually(t, "it gets a worker", func() bool { return y.Stats.QueueWait.Count() == 1 })
	if _, _, sum := y.Stats.QueueWait.Snapshot(); sum < pause.Seconds() {
		t.Errorf("it waited for a worker for %v s", sum)
	}
	if handed, heads := y.Stats.Handed.Load(), y.Stats.HeadWait.Count(); handed != 3 || heads != 1 {
		t.Errorf("%d were handed over, %d waited for their heads", handed, heads)
	}
	y.waiters.wait()
}
