package front

import (
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/routing"
)

// An echo is a target that answers with the request line, and whether it owns
// the session.
type echo struct {
	f *Front

	// Every so often it has no room after all, which it says later.
	reluctant bool
	mu        sync.Mutex
	handed    int
	calls     sync.WaitGroup
	member    *routing.Member
}

func (e *echo) Hand(c Conn, session bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handed++
	if e.reluctant && e.handed%3 == 0 {
		e.calls.Go(func() {
			e.f.router.Release(routing.Route{Member: e.member, Session: session})
			e.f.Reroute(c, e.member, false)
		})
		return nil
	}
	e.f.router.Taken(e.member, 1)
	buf := make([]byte, 4096)
	n, _ := unix.Read(c.FD, buf)
	line, _, _ := strings.Cut(string(c.Replay)+string(buf[:max(n, 0)]), "\r\n")
	owner := ""
	if session {
		owner = " known"
	}
	unix.Write(c.FD, []byte("HTTP/1.1 200 OK\r\n\r\n"+line+owner))
	unix.Close(c.FD)
	return nil
}

func (*echo) Flush() {}

// A generation is a front with one member, and the listener that clients come
// by.
type generation struct {
	*Front
	target *echo
	ln     *Listener
	ended  func()
}

const window = 4

// newGeneration returns one whose only target is not ready.
func newGeneration(t *testing.T, l *poll.Loop) *generation {
	t.Helper()
	b, err := routing.NewBalancer("round-robin")
	if err != nil {
		t.Fatal(err)
	}
	old, _ := newFront(t)
	r := routing.NewRouter(b, routing.NewTable(routing.NewKey()), func() {})
	config := old.settings.Load().Config
	config.ParkTimeout = deadline
	old.Stop(t.Context(), nil)
	g := &generation{Front: New(config, r, slog.New(slog.DiscardHandler))}
	g.target = &echo{f: g.Front}
	g.target.member = r.Join(routing.Seat{Slot: 1, Window: window}, g.target)
	return g
}

func (g *generation) serve(t *testing.T, ln *Listener) {
	g.ln, g.ended = ln, serve(t, g.Front, ln)
}

// freeze returns what is left of g: that of the listener and of the front.
func (g *generation) freeze(t *testing.T) (ListenerState, State) {
	t.Helper()
	door, err := g.ln.Detach()
	if err != nil {
		t.Fatal(err)
	}
	g.ended()
	g.Freeze()
	g.target.calls.Wait() // then it gives nothing back any more
	return throughJSON(t, door), throughJSON(t, g.State())
}

// thaw lets an heir go on.
func (g *generation) thaw(t *testing.T, l *poll.Loop, of *generation, door ListenerState, s State) {
	t.Helper()
	for _, w := range s.Waiting {
		unix.FcntlInt(uintptr(w.FD), unix.F_SETFD, 0) // as for an exec
	}
	g.Resume(s, func(incarnation uint32) *routing.Member {
		if incarnation == uint32(of.target.member.Incarnation()) {
			return g.target.member
		}
		return nil
	})
	for _, w := range s.Waiting {
		if flags, err := unix.FcntlInt(uintptr(w.FD), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			t.Error("a worker would inherit a connection")
		}
	}
	ln, err := RestoreListener(door, l)
	if err != nil {
		t.Fatal(err)
	}
	g.serve(t, ln)
}

// fill makes the member have no room until release is called.
func (g *generation) fill() (release func()) {
	var all []routing.Route
	for range window {
		to, _ := g.router.Route(routing.Query{From: g.target.member, Returned: true})
		all = append(all, to)
	}
	return func() {
		for _, to := range all {
			g.router.Release(to)
		}
	}
}

// A guest is a client with the answer that it gets.
type guest struct {
	net.Conn
	answer chan string
}

func visit(t *testing.T, at net.Addr, text string) *guest {
	t.Helper()
	conn, err := net.Dial(at.Network(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, text)
	g := &guest{conn, make(chan string, 1)}
	go func() {
		defer conn.Close()
		got, err := io.ReadAll(conn)
		if err != nil {
			got = []byte(err.Error())
		}
		g.answer <- string(got)
	}()
	return g
}

// returned makes a client whose connection a target has, which has read its
// first bytes.
func returned(t *testing.T, text string, read int) (g *guest, c Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g = visit(t, ln.Addr(), text)
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.Replay = make([]byte, read)
	if _, err := io.ReadFull(conn, c.Replay); err != nil {
		t.Fatal(err)
	}
	if c.FD, err = poll.Duplicate(conn.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	return g, c
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// holdings are the descriptors and goroutines of this process.
func holdings(t *testing.T) (descriptors, goroutines int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all), runtime.NumGoroutine()
}

// expectNoLeak returns what fails the test if more is held than now.
func expectNoLeak(t *testing.T) (check func()) {
	t.Helper()
	fds, goroutines := holdings(t)
	return func() {
		t.Helper()
		eventually(t, "nothing more is held than before", func() bool {
			nowFDs, nowGoroutines := holdings(t)
			return nowFDs <= fds && nowGoroutines <= goroutines
		})
	}
}

// Whoever waits, for what ever, goes on in another front and is answered.
func TestWhoWaitsGoesOnInAnotherFront(t *testing.T) {
	visit(t, listenAndForget(t), "").Close() // the runtime's poller is made once
	bothWays(t, func(t *testing.T, l *poll.Loop) {
		check := expectNoLeak(t)
		old, heir := newGeneration(t, l), newGeneration(t, l)
		old.serve(t, listenAt(t, "127.0.0.1:0", l))
		late := old.router.Join(routing.Seat{Slot: 2, Window: window}, &echo{}) // it is here only to let requests wait for registrations
		old.router.Add(late, true)
		reach(old.router, late)
		old.router.Retire(late)
		release := old.fill()
		at := old.ln.Addr()
		half := visit(t, at, get("/half")[:9])
		awaitHeads(t, old.Front, 1)
		whole := visit(t, at, get("/whole"))
		early := visit(t, at, get("/?sid=early"))
		again, c := returned(t, get("/again"), 7)
		old.Reroute(c, old.target.member, true)
		foreign, c := returned(t, get("/foreign?sid=foreign")[:12], 0)
		foreign.Write([]byte(get("/foreign?sid=foreign")[12:]))
		c.Refusals = 2
		old.Reroute(c, late, true)
		awaitWaiting(t, old.Front, 5)

		door, err := old.ln.Detach()
		if err != nil {
			t.Fatal(err)
		}
		old.ended()
		queued := visit(t, at, get("/queued"))
		old.Freeze()
		last, c := returned(t, get("/last"), 3)
		old.Reroute(c, old.target.member, false)
		state := throughJSON(t, old.State())
		if len(state.Waiting) != 6 || old.waiters.count != 0 {
			t.Fatalf("%d are waiting, in %d goroutines: %+v", len(state.Waiting), old.waiters.count, state.Waiting)
		}
		release()
		expectNoTickets(t, old)
		heir.router.Add(heir.target.member, true)
		reach(heir.router, heir.target.member)
		heir.thaw(t, l, old, throughJSON(t, door), state)
		awaitWaiting(t, heir.Front, 3) // for the head, and for registrations
		half.Write([]byte(get("/half")[9:]))
		if err := heir.router.Bind(heir.target.member, []byte("early")); err != nil {
			t.Fatal(err)
		}
		heir.router.Bind(heir.target.member, []byte("foreign"))
		for _, tt := range []struct {
			*guest
			want string
		}{
			{half, "GET /half HTTP/1.1"}, {whole, "GET /whole HTTP/1.1"}, {early, "GET /?sid=early HTTP/1.1 known"},
			{again, "GET /again HTTP/1.1"}, {foreign, "GET /foreign?sid=foreign HTTP/1.1 known"},
			{queued, "GET /queued HTTP/1.1"}, {last, "GET /last HTTP/1.1"},
		} {
			if got := <-tt.answer; got != "HTTP/1.1 200 OK\r\n\r\n"+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		}
		heir.Stop(t.Context(), []*Listener{heir.ln})
		heir.ended()
		s := &heir.Stats
		if s.Accepted.Load() != 4 || s.Returned.Load() != 2 || s.Rerouted.Load() != 1 || s.Refused.Load() != 0 || s.Handed.Load() != 7 {
			t.Errorf("counted %+v", s.counters())
		}
		check()
	})
}

func listenAndForget(t *testing.T) net.Addr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr()
}

// awaitWaiting returns when n connections wait, for what ever.
func awaitWaiting(t *testing.T, f *Front, n int) {
	t.Helper()
	eventually(t, "they wait", func() bool {
		f.waiters.mu.Lock()
		defer f.waiters.mu.Unlock()
		return f.waiters.count == n
	})
}

// expectNoTickets fails the test if a router would grant somebody anything.
func expectNoTickets(t *testing.T, g *generation) {
	t.Helper()
	g.router.Add(g.target.member, false)
	g.router.Bind(g.target.member, []byte("early"))
	for _, m := range g.router.Members() {
		if m.Untaken != 0 || m.Open != 0 {
			t.Errorf("a router whose front is frozen counts %+v", m)
		}
	}
}

// The member that had a connection, and the waiting that is behind it, go with
// it.
func TestStateSaysWhereAConnectionComesFrom(t *testing.T) {
	f, m := newFront(t)
	f.Freeze()
	for _, tt := range []struct {
		returned bool
		want     WaitingState
	}{
		{true, WaitingState{Returned: true, Refusals: 2}}, {false, WaitingState{Refusals: 3}},
	} {
		client, accepted := clientOf(t, request)
		defer unix.Close(client)
		f.Reroute(Conn{FD: accepted, Replay: []byte("r"), Refusals: 2}, m, tt.returned)
	}
	f.kept.add(Conn{FD: 9}, routing.Query{Parked: true})
	s := f.State()
	in := uint32(m.Incarnation())
	for i, want := range []WaitingState{
		{Replay: []byte("r"), Refusals: 2, From: in, Returned: true}, {Replay: []byte("r"), Refusals: 3, From: in}, {FD: 9, Parked: true},
	} {
		got := s.Waiting[i]
		if i < 2 {
			defer unix.Close(got.FD)
			got.FD = 0
		}
		if got.From != want.From || got.Returned != want.Returned || got.Refusals != want.Refusals ||
			got.Parked != want.Parked || string(got.Replay) != string(want.Replay) || got.FD != want.FD {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if again := f.State(); len(again.Waiting) != 0 {
		t.Error("given out twice:", again.Waiting)
	}
}

// A connection whose member is gone in the meantime is one like any other.
func TestResumeWithoutTheMember(t *testing.T) {
	f, _ := newFront(t)
	client, accepted := clientOf(t, request)
	f.Resume(State{Waiting: []WaitingState{{FD: accepted, From: 77, Returned: true}}}, func(uint32) *routing.Member { return nil })
	if got := answerOf(client); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
	f.waiters.wait()
}

// Who sleeps before it is routed again is not routed.
func TestFreezeKeepsWhoSleeps(t *testing.T) {
	f, m := newFront(t)
	client, accepted := clientOf(t, request)
	f.Reroute(Conn{FD: accepted, Refusals: maxRefusals - 1}, m, false)
	f.Freeze()
	if s := f.State(); len(s.Waiting) != 1 || s.Waiting[0].Refusals != maxRefusals || f.Stats.Handed.Load() != 0 {
		t.Errorf("%d were handed over: %+v", f.Stats.Handed.Load(), s)
	}
	unix.Close(client)
	unix.Close(accepted)
}

// Who waits for a registration is not given to a worker that does not know the
// session.
func TestFreezeKeepsWhoWaitsForARegistration(t *testing.T) {
	f, _, answer := park(t, 2*deadline)
	awaitWaiting(t, f, 1)
	f.Freeze()
	s := f.State()
	if len(s.Waiting) != 1 || s.Waiting[0].Parked || f.Stats.Handed.Load() != 0 {
		t.Errorf("%d were handed over: %+v", f.Stats.Handed.Load(), s)
	}
	heir, _ := newFront(t)
	heir.Resume(s, nil)
	expectAnswer(t, answer, "HTTP/1.1 200 ")
	heir.waiters.wait()
	if heir.Stats.Accepted.Load() != f.Stats.Accepted.Load() || heir.Stats.Handed.Load() != 1 {
		t.Errorf("counted %+v", heir.Stats.counters())
	}
}

// A client that is being sent away gets to read why.
func TestFreezeLetsAnswersArrive(t *testing.T) {
	f, _ := newFront(t)
	client, accepted := clientOf(t, "nonsense\r\n\r\n")
	f.admitAlone(Conn{FD: accepted})
	answer := make(chan string)
	go func() { answer <- answerOf(client) }()
	f.Freeze()
	if s := f.State(); len(s.Waiting) != 0 {
		t.Errorf("it waits: %+v", s)
	}
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
}

// Generations follow each other while clients come, and nobody notices.
func TestFreezeBesideTraffic(t *testing.T) {
	const clients, generations = 6, 10
	visit(t, listenAndForget(t), "").Close()
	bothWays(t, func(t *testing.T, l *poll.Loop) {
		check := expectNoLeak(t)
		g := newGeneration(t, l)
		g.target.reluctant = true
		g.router.Add(g.target.member, false)
		g.serve(t, listenAt(t, "127.0.0.1:0", l))
		at := g.ln.Addr()
		stop := make(chan struct{})
		var asking sync.WaitGroup
		for range clients {
			asking.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if got := ask(at, i%2 == 0); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
						t.Errorf("got %q", got)
						return
					}
				}
			})
		}
		for range generations {
			some := g.Stats.Handed.Load() + 20
			eventually(t, "clients are served", func() bool { return g.Stats.Handed.Load() > some || t.Failed() })
			heir := newGeneration(t, l)
			heir.target.reluctant = true
			door, state := g.freeze(t)
			heir.router.Add(heir.target.member, false)
			heir.thaw(t, l, g, door, state)
			g = heir
		}
		close(stop)
		asking.Wait()
		g.Stop(t.Context(), []*Listener{g.ln})
		g.ended()
		check()
	})
}
