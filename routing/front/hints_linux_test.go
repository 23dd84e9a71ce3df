package front

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
)

// A told front is one whose log can be read.
type toldFront struct {
	*Front
	t      *testing.T
	member *routing.Member
	log    bytes.Buffer
}

func newTold(t *testing.T, specs ...string) *toldFront {
	t.Helper()
	f, m := newFront(t)
	told := &toldFront{Front: f, t: t, member: m}
	f.log = slog.New(slog.NewTextHandler(&told.log, nil))
	told.look(specs...)
	return told
}

// look changes where ids are looked for.
func (f *toldFront) look(specs ...string) {
	f.t.Helper()
	sources, err := session.Parse(specs)
	if err != nil {
		f.t.Fatal(err)
	}
	c := f.settings.Load().Config
	c.Sessions = sources
	f.SetConfig(c)
}

// come lets n requests come, each on a connection of its own.
func (f *toldFront) come(n int, target, fields string) {
	f.t.Helper()
	for range n {
		client, accepted := clientOf(f.t, "GET "+target+" HTTP/1.1\r\nHost: x\r\n"+fields+"\r\n")
		f.admitAlone(Conn{FD: accepted})
		unix.Close(client)
	}
}

// register registers n sessions that no request has.
func (f *toldFront) register(n int) {
	f.t.Helper()
	for i := range n {
		if err := f.router.Bind(f.member, fmt.Append(nil, "registered", i)); err != nil {
			f.t.Fatal(err)
		}
	}
}

const express = "Cookie: connect.sid=s%3Asecret.sign\r\n"

func TestHintsNameTheLikelyMistake(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source string
		come   func(*toldFront)
		want   string // the whole sentence, or its beginning if … is at the end
	}{
		{"a handful that says nothing", "query:sid", func(f *toldFront) { f.come(19, "/", ""); f.register(19) }, ""},
		{"all is well", "query:sid", func(f *toldFront) {
			f.come(30, "/", express)
			f.register(30)
			f.come(1, "/?sid=registered0", "")
		}, ""},
		{"ids of before a restart, and a worker that has died", "query:sid", func(f *toldFront) {
			f.register(1)
			f.router.Remove(f.member, time.Now())
			f.member = f.router.Join(routing.Seat{Slot: 1, Window: 1 << 30}, yes{})
			f.router.Add(f.member, false)
			f.come(1, "/?sid=registered0", "")
			f.come(30, "/", express)
			f.come(30, "/?sid=other", "")
		}, ""},
		{"no sessions at all", "none", func(f *toldFront) { f.come(30, "/", express); f.register(30) }, ""},
		{"the wrong place", "query:sid", func(f *toldFront) { f.register(39); f.come(5, "/", express) },
			`no request carries a session id in query:sid, though workers have registered 39 sessions; requests carry the cookie "connect.sid": is it --session cookie:connect.sid?`},
		{"a stranger's id in the place", "query:sid", func(f *toldFront) { f.register(2); f.come(4, "/?sid=secret", ""); f.come(5, "/", express) },
			`no request carries a session id in query:sid, though workers have registered 2 sessions; requests carry the cookie "connect.sid"…`},
		{"a field", "cookie:a", func(f *toldFront) { f.register(1); f.come(5, "/mcp", "Mcp-Session-Id: secret\r\n") },
			`no request carries a session id in cookie:a, though workers have registered 1 session; requests carry the field Mcp-Session-Id: is it --session header:Mcp-Session-Id?`},
		{"a parameter", "cookie:a", func(f *toldFront) { f.register(2); f.come(5, "/?EIO=4&sid=secret", "") },
			`no request carries a session id in cookie:a, though workers have registered 2 sessions; requests carry the parameter "sid": is it --session query:sid?`},
		{"SockJS", "query:sid", func(f *toldFront) { f.register(2); f.come(5, "/echo/123/secret/xhr", "") },
			`no request carries a session id in query:sid, though workers have registered 2 sessions; requests carry paths such as /echo/000/SESSION/xhr: is it --session 'path:/echo/*/{}'?`},
		{"the place where most carry something", "query:sid", func(f *toldFront) {
			f.register(2)
			f.come(5, "/", "Cookie: sid=1; theme=2\r\n")
			f.come(6, "/", express)
		}, `no request carries a session id in query:sid, though workers have registered 2 sessions; requests carry the cookie "connect.sid"…`},
		{"nowhere that can be seen", "query:sid", func(f *toldFront) { f.come(20, "/", ""); f.register(20) },
			"no request carries a session id in query:sid, though workers have registered 20 sessions: is --session right?…"},
		{"neither place nor Bind", "query:sid", func(f *toldFront) { f.come(5, "/", express) },
			`no worker has registered a session, and no request carries an id in query:sid; requests carry the cookie "connect.sid"; if that identifies a session, use --session cookie:connect.sid (in Go…`},
		{"no Bind", "cookie:connect.sid", func(f *toldFront) { f.come(1, "/", ""); f.come(5, "/", express) },
			"requests carry session ids in cookie:connect.sid, but no worker has registered any session; register each session before you send its id: worker.Bind in Go; in Node the preload…"},
		{"ids of before a start, perhaps", "cookie:connect.sid", func(f *toldFront) { f.come(19, "/", express) }, ""},
		{"no Bind, where clients make up the ids", "path:/echo/*/{}", func(f *toldFront) { f.come(20, "/echo/000/secret/xhr", "") },
			"requests carry session ids in path:/echo/*/{}, but no worker has registered any session; register…"},
		{"Bind of something else", "cookie:connect.sid", func(f *toldFront) { f.register(5); f.come(5, "/", express) },
			"requests carry session ids in cookie:connect.sid, and workers have registered 5 sessions, but no id is that of a session; register…"},
		{"an id that is too long is no clue to where it is", "cookie:sid", func(f *toldFront) {
			f.register(5)
			f.come(5, "/", "Cookie: sid="+strings.Repeat("a", 300)+"\r\n")
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newTold(t, tt.source)
			tt.come(f)
			got := f.hint(f.settings.Load().search).String()
			if want, open := strings.CutSuffix(tt.want, "…"); got != want && !(open && strings.HasPrefix(got, want)) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if strings.Contains(got, "secret") {
				t.Error("it has an id")
			}
			f.Stop(t.Context(), nil)
		})
	}
}

// A suspicion that lasts is told once; one that passes, or is of a configuration
// that has changed, never.
func TestSuspicionsAreToldOnceIfTheyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass := func() {
			time.Sleep(secondThought)
			synctest.Wait()
		}
		expect := func(f *toldFront, lines int) {
			t.Helper()
			if got := strings.Count(f.log.String(), "\n"); got != lines {
				t.Errorf("%d lines, want %d: %s", got, lines, f.log.String())
			}
			if holds := f.Hint() != ""; holds != (lines > 0) {
				t.Errorf("after %d lines the hint is %q", lines, f.Hint())
			}
		}
		f := newTold(t, "query:sid")
		f.register(1)
		f.come(handful, "/", express)
		f.come(handful, "/", express)
		expect(f, 0)
		pass()
		expect(f, 1)
		for _, want := range []string{"level=WARN", "session=[query:sid]", "sessions=1", "requests_carry=cookie:connect.sid", `hint="is it --session cookie:connect.sid?"`} {
			if !strings.Contains(f.log.String(), want) {
				t.Errorf("no %s in %s", want, f.log.String())
			}
		}
		f.come(handful, "/", express)
		pass()
		expect(f, 1)
		f.SetConfig(f.settings.Load().Config) // of something else
		f.come(handful, "/", express)
		pass()
		expect(f, 1)
		f.come(1, "/?sid=registered0", "")
		if got := f.Hint(); got != "" {
			t.Error("it holds no longer:", got)
		}
		f.Stop(t.Context(), nil)

		f = newTold(t, "query:sid")
		f.register(1)
		f.come(handful, "/", express)
		f.come(1, "/?sid=registered0", "")
		pass()
		expect(f, 0)

		f.look("header:A")
		f.come(handful, "/", express)
		f.look("cookie:connect.sid")
		pass()
		expect(f, 0)
		f.come(handful, "/", express)
		f.Stop(t.Context(), nil) // does not wait for what would be told
		expect(f, 0)
	})
}

// What clients make up costs no more than a little.
func TestCluesAreBounded(t *testing.T) {
	f := newTold(t, "query:sid")
	for i := range 1000 {
		f.come(1, "/", fmt.Sprintf("Cookie: a%d.sid=1; b%d.sid=1\r\n", i, i))
	}
	c := &f.settings.Load().clues
	if heads := c.heads.Load(); len(c.all) != maxClues || heads != 1000 {
		t.Errorf("%d clues of %d heads", len(c.all), heads)
	}
	f.Stop(t.Context(), nil)
}
