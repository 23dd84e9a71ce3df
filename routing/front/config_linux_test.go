package front

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing/session"
)

// changed returns f's configuration with ids in another parameter, and as many
// bytes for a head.
func changed(t *testing.T, f *Front, source string, headBytes int) Config {
	t.Helper()
	c := f.settings.Load().Config
	sources, err := session.Parse([]string{source})
	if err != nil {
		t.Fatal(err)
	}
	c.Sessions, c.HeadBytes = sources, headBytes
	return c
}

func answerOf(client int) string {
	defer unix.Close(client)
	text, _ := io.ReadAll(fdReader(client))
	return string(text)
}

func TestNewConfigHoldsForTheNextRound(t *testing.T) {
	y := newYard(t, 250)
	if err := y.router.Bind(y.members[1], []byte("a")); err != nil {
		t.Fatal(err)
	}
	r := y.newRound()
	for i, tt := range []struct {
		source string
		bytes  int
		known  int64
	}{{"query:sid", 4096, 1}, {"query:other", 64, 1}, {"query:sid", 64, 2}, {"query:sid", 8192, 3}} {
		y.SetConfig(changed(t, y.Front, tt.source, tt.bytes))
		if err := y.accept(come(t, []string{"GET /?sid=a HTTP/1.1\r\nHost: x\r\n\r\n"}), r); err != errNoMore {
			t.Fatal(err)
		}
		if known := y.Stats.Known.Load(); known != tt.known {
			t.Errorf("after %d rounds, the last with %+v, %d were known", i+1, tt, known)
		}
	}
}

// A head that is waited for is looked at as was configured when that began.
func TestWhoWaitsGoesOnWithTheOldConfig(t *testing.T) {
	f, _ := newFront(t)
	client, accepted := clientOf(t, "GET /?sid=a HTTP/1.1")
	f.admitAlone(Conn{FD: accepted})
	awaitHeads(t, f, 1)
	f.SetConfig(changed(t, f, "query:sid", 16))
	unix.Write(client, []byte("\r\nHost: x\r\n\r\n"))
	if got := answerOf(client); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
	client, accepted = clientOf(t, "GET /?sid=a HTTP/1.1\r\nHost: x\r\n\r\n")
	f.admitAlone(Conn{FD: accepted})
	if got := answerOf(client); !strings.HasPrefix(got, "HTTP/1.1 414 ") {
		t.Errorf("a new connection got %q", got)
	}
	f.waiters.wait()
}

// awaitHeads returns when n connections wait for their heads.
func awaitHeads(t *testing.T, f *Front, n int) {
	t.Helper()
	eventually(t, "waits for heads", func() bool {
		f.waiters.mu.Lock()
		defer f.waiters.mu.Unlock()
		return f.waiters.heads.Len() == n
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(deadline); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(late) {
			t.Fatal("never came: ", what)
		}
	}
}

func TestNewLimitHoldsForWhoComes(t *testing.T) {
	f, _ := newFront(t)
	c := f.settings.Load().Config
	c.MaxWaiting = 1
	f.SetConfig(c)
	first, accepted := clientOf(t, "GET")
	f.admitAlone(Conn{FD: accepted})
	awaitHeads(t, f, 1)
	second, accepted := clientOf(t, "GET")
	f.admitAlone(Conn{FD: accepted})
	if got := answerOf(first); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("the one that waited longest got %q", got)
	}
	f.waiters.giveUpHeads()
	if got := answerOf(second); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("the other one got %q", got)
	}
	f.waiters.wait()
}

func TestConfigChangesBesideTraffic(t *testing.T) {
	f, _ := newFront(t)
	ln, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	var serving, clients sync.WaitGroup
	serving.Go(func() {
		if err := f.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	done := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for i := range 50 {
				if got := ask(ln.Addr(), i%2 == 0); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	go func() { clients.Wait(); close(done) }()
	small, large := changed(t, f, "query:sid", 64), changed(t, f, "header:Session", 8192)
	for i := 0; ; i++ {
		select {
		case <-done:
			f.Stop(t.Context(), []*Listener{ln})
			serving.Wait()
			return
		default:
			f.SetConfig([]Config{small, large}[i%2])
		}
	}
}
