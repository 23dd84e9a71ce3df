package front

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/fdpass/fdtest"
)

// queued returns a listener that nobody serves, with a client in its queue, and
// what the client is answered.
func queued(t *testing.T) (ln *Listener, answer <-chan string) {
	t.Helper()
	ln, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	io.WriteString(client, request)
	got := make(chan string, 1)
	go func() {
		b, err := io.ReadAll(client)
		if err != nil {
			b = []byte(err.Error())
		}
		got <- string(b)
	}()
	for !ln.pending() {
		time.Sleep(time.Millisecond)
	}
	return ln, got
}

func TestStopAcceptsWhatIsInTheQueue(t *testing.T) {
	f, _ := newFront(t)
	ln, answer := queued(t)
	f.Stop(t.Context(), []*Listener{ln})
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
}

func TestStopWaitsForDescriptorsToAcceptWhatIsInTheQueue(t *testing.T) {
	f, _ := newFront(t)
	ln, answer := queued(t)
	restore := fdtest.Exhaust(t, 0)
	defer restore()
	time.AfterFunc(3*acceptPause, restore)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	f.Stop(ctx, []*Listener{ln})
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
}

func TestStopDoesNotWaitForDescriptorsInVain(t *testing.T) {
	f, _ := newFront(t)
	ln, _ := queued(t)
	idle, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fdtest.Exhaust(t, 0)()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	f.Stop(ctx, []*Listener{idle}) // nobody is in the queue
	if ctx.Err() != nil {
		t.Error("it waited as long as it might")
	}
	f, _ = newFront(t)
	ctx, cancel = context.WithTimeout(t.Context(), acceptPause)
	defer cancel()
	f.Stop(ctx, []*Listener{ln}) // there is not the time
}
