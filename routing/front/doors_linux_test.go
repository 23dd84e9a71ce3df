package front

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveDoors serves doors at addrs until the test ends.
func serveDoors(t *testing.T, addrs ...string) *Doors {
	t.Helper()
	f, _ := newFront(t)
	d := NewDoors(f, nil, slog.New(slog.DiscardHandler))
	if err := d.Open(addrs); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Serve() }()
	t.Cleanup(func() {
		d.Stop(context.Background())
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

func expectServed(t *testing.T, at net.Addr) {
	t.Helper()
	if got := ask(at, true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("at %s: %s", at, got)
	}
}

func TestDoorsChangeWhileTheyAreServed(t *testing.T) {
	path := "unix:" + filepath.Join(t.TempDir(), "s")
	d := serveDoors(t, "127.0.0.1:0", path)
	kept, surplus := d.Addrs()[0], d.Addrs()[1]
	expectServed(t, kept)
	expectServed(t, surplus)
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Change(impatient, []string{"127.0.0.1:0", "localhost:0"}); err != nil {
		t.Fatal(err)
	}
	addrs := d.Addrs()
	if len(addrs) != 2 || addrs[0].String() != kept.String() {
		t.Fatalf("now %v", addrs)
	}
	expectServed(t, kept)
	expectServed(t, addrs[1])
	askUntilClosed(t, surplus)
	if _, new := d.AtPort(addrs[1].String()); !new {
		t.Error("AtPort does not know the new one")
	}
	if _, old := d.AtPort(path); old {
		t.Error("AtPort knows the old one")
	}
	if err := d.Change(impatient, []string{"localhost:0", "unix:/no/such/directory/s"}); err == nil {
		t.Error("a listener that can't be opened was no error")
	}
	if len(d.Addrs()) != 2 {
		t.Errorf("after an error %v", d.Addrs())
	}
}

// Each address has a listener of its own, or it is an error, as at the start.
func TestDoorsAreOneForEachAddress(t *testing.T) {
	d := serveDoors(t, "127.0.0.1:0", "127.0.0.1:0")
	before := d.Addrs()
	if err := d.Change(context.Background(), []string{"127.0.0.1:0", "127.0.0.1:0", "localhost:0"}); err != nil {
		t.Fatal(err)
	}
	for _, at := range before {
		if _, ok := d.AtPort(at.String()); !ok {
			t.Errorf("%s was closed", at)
		}
	}
	twice := []string{before[0].String(), "localhost:" + strconv.Itoa(before[0].(*net.TCPAddr).Port)}
	if err := d.Change(context.Background(), twice); err == nil {
		t.Error("one listener for two addresses was no error")
	}
}

// A reload that takes a listener away may be taken back at once.
func TestDoorsOpenWhatStillCloses(t *testing.T) {
	d := serveDoors(t, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(d.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	both := []string{"127.0.0.1:0", "127.0.0.2:" + port}
	patient, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	for _, addrs := range [][]string{both, both[:1], both} {
		if err := d.Change(patient, addrs); err != nil {
			t.Fatal(err)
		}
	}
	expectServed(t, d.Addrs()[1])
}

func TestDoorsAreNeverWithoutAny(t *testing.T) {
	d := serveDoors(t, "127.0.0.1:0")
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	var changed atomic.Bool
	none := make(chan int)
	go func() {
		n := 0
		for !changed.Load() {
			if len(d.Addrs()) == 0 {
				n++
			}
		}
		none <- n
	}()
	for i := range 200 {
		if err := d.Change(impatient, []string{[]string{"localhost:0", "127.0.0.1:0"}[i%2]}); err != nil {
			t.Fatal(err)
		}
	}
	changed.Store(true)
	if n := <-none; n > 0 {
		t.Errorf("%d times", n)
	}
}

func TestDoorsAreGivenAwayAndTakenUpAgain(t *testing.T) {
	f, _ := newFront(t)
	d := NewDoors(f, nil, slog.New(slog.DiscardHandler))
	if err := d.Open([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	addr := d.Addrs()[0]
	go d.Serve()
	states, err := d.Detach()
	if err != nil || len(states) != 1 {
		t.Fatal(states, err)
	}
	answer := make(chan string, 1)
	go func() { answer <- ask(addr, true) }() // it is not refused
	again := NewDoors(f, nil, slog.New(slog.DiscardHandler))
	if err := again.Restore(states[0]); err != nil {
		t.Fatal(err)
	}
	go again.Serve()
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Error(got)
	}
	again.Stop(context.Background())
}

// freePort returns a port that is free at all addresses: one that is at 127.0.0.1
// may be a client's at another.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

func local(port string) net.Addr {
	n, _ := strconv.Atoi(port)
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n}
}

// Another host at the same port, or the same one in other words, is no port in
// use, and no client is refused meanwhile.
func TestDoorsChangeTheirHost(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		same     bool // no other socket
	}{
		{"127.0.0.1", "localhost", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"", "0.0.0.0", true},
		{"", "[::]", true},
		{"", "127.0.0.1", false},
		{"127.0.0.1", "", false},
		{"127.0.0.1", "0.0.0.0", false},
		{"0.0.0.0", "127.0.0.1", false},
	} {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			port := freePort(t)
			d := serveDoors(t, tt.from+":"+port)
			at := local(port)
			expectServed(t, at)
			old := (*d.open.Load())[0]
			stop, refused := make(chan struct{}), make(chan string, 1)
			go func() {
				for {
					select {
					case <-stop:
						refused <- ""
						return
					default:
					}
					if got := ask(at, true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
						refused <- got
						return
					}
				}
			}()
			patient, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := d.Change(patient, []string{tt.to + ":" + port}); err != nil {
				t.Fatal(err)
			}
			d.Settle()
			close(stop)
			if got := <-refused; got != "" {
				t.Error("meanwhile a client got", got)
			}
			expectServed(t, at)
			now := *d.open.Load()
			if len(now) != 1 || (now[0] == old) != tt.same || now[0].Written() != tt.to+":"+port {
				t.Errorf("%s became %s, written %s", old.Addr(), now[0].Addr(), now[0].Written())
			}
			if ln, err := net.Listen("tcp", tt.to+":"+port); err == nil {
				ln.Close()
				t.Error("somebody else could have the port")
			}
		})
	}
}

// The more special address gets the clients for as long as it is open, which it
// is until those are heard who have connected and said nothing.
func TestDoorsThatWidenTheirHostServeMeanwhile(t *testing.T) {
	port := freePort(t)
	d, at := serveDoors(t, "127.0.0.1:"+port), local(port)
	patient, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := d.Change(patient, []string{"0.0.0.0:" + port}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if expectServed(t, at); t.Failed() {
			return
		}
	}
	cancel()
	d.Settle()
	expectServed(t, at)
}

// Several hosts at a port become one, and that one several again.
func TestDoorsChangeSeveralHostsAtAPort(t *testing.T) {
	port := freePort(t)
	d := serveDoors(t, "127.0.0.1:"+port)
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	for _, hosts := range [][]string{{"127.0.0.1", "127.0.0.2"}, {"0.0.0.0"}, {"127.0.0.1", "127.0.0.2", "127.0.0.3"}, {""}} {
		var addrs []string
		for _, host := range hosts {
			addrs = append(addrs, host+":"+port)
		}
		if err := d.Change(impatient, addrs); err != nil {
			t.Fatal(err)
		}
		d.Settle()
		for i, ln := range *d.open.Load() {
			expectServed(t, ln.Addr())
			if ln.Written() != addrs[i] {
				t.Errorf("%d is %s, want %s", i, ln.Written(), addrs[i])
			}
		}
	}
}

// A listener that comes in the place of another one gets clients at once, and
// nobody serves it before Change is done with the others.
func TestDoorsServeWhileOthersAreAwaited(t *testing.T) {
	port, other := freePort(t), freePort(t)
	d, at := serveDoors(t, ":"+port, "127.0.0.1:"+other), local(port)
	patient, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := d.Change(patient, []string{":" + port}); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() {
		changed <- d.Change(patient, []string{"127.0.0.1:" + port, "127.0.0.1:" + other, "unix:/no/such/directory/s"})
	}()
	for range 200 {
		if expectServed(t, at); t.Failed() {
			break
		}
	}
	cancel()
	if err := <-changed; err == nil {
		t.Error("a listener that can't be opened was no error")
	}
	expectServed(t, at)
}

// Who stops, or is to be replaced, lets nobody come any more.
func TestDoorsThatWidenTheirHostAndEnd(t *testing.T) {
	port := freePort(t)
	d, at := serveDoors(t, "127.0.0.1:"+port), local(port)
	patient, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := d.Change(patient, []string{"0.0.0.0:" + port}); err != nil {
		t.Fatal(err)
	}
	expectServed(t, at)
	d.end()
	askUntilClosed(t, at)
}
