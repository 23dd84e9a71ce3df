package nodeipc

import (
	"log/slog"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
)

// servers are workers with a library of ours, and servers that listen.
func servers(t *testing.T, hub *Hub, n int) (all []*peer) {
	for range n {
		p := newPeer(t, Advanced, hub)
		p.hello()
		p.asks(1, 4, nil, 4000, 0, 0)
		p.isDoor(1)
		p.listening(nil, 4, 4000)
		p.told.await("ready")
		all = append(all, p)
	}
	return all
}

// comesBack gives a worker a connection that was given back, and returns whether it
// is told that there is no session at all.
func (p *peer) comesBack() (nobody any) {
	p.t.Helper()
	client, socket := connect(p.t)
	defer client.Close()
	p.hand(workerproto.Connection{FD: socket, Replay: []byte("GET ")})
	o, fd := p.hear()
	fdpass.Close(fd)
	p.ack()
	return o.inner("msg").get("nobody")
}

func (p *peer) binds(id string) {
	p.t.Helper()
	p.sayOurs("bind", member{"id", id})
	p.told.await("bind " + id)
}

// A library that was told that there is no session at all hears of the first, and who
// registers that one waits for it.
func TestNewsOfTheFirstSession(t *testing.T) {
	ps := servers(t, NewHub(), 3)
	a, b, c := ps[0], ps[1], ps[2]
	if a.comesBack() != true {
		t.Error("it is not told that there is no session")
	}
	b.binds("s")
	a.hears("sessions")
	c.binds("u")
	b.silent()
	c.silent()
	if a.comesBack() != nil {
		t.Error("it is told again that there is no session")
	}
	a.sayOurs("heard")
	b.hears("settled")
	c.hears("settled")
	b.binds("v")
	b.silent() // it knows
	a.binds("w")
	a.hears("settled")
}

// Nobody waits where all know of it, or who does not is gone, or is blocked.
func TestNewsNeedNobody(t *testing.T) {
	t.Run("there is nobody", func(t *testing.T) {
		p := servers(t, NewHub(), 1)[0]
		p.binds("s")
		p.hears("settled")
	})
	t.Run("its own", func(t *testing.T) {
		p := servers(t, NewHub(), 1)[0]
		p.comesBack()
		p.binds("s")
		p.hears("sessions")
		p.sayOurs("heard")
		p.hears("settled")
	})
	t.Run("gone", func(t *testing.T) {
		ps := servers(t, NewHub(), 2)
		ps[0].comesBack()
		ps[1].binds("s")
		ps[0].hears("sessions")
		ps[0].link.Close()
		ps[1].hears("settled")
	})
	t.Run("blocked", func(t *testing.T) {
		ps := servers(t, NewHub(), 2)
		ps[0].comesBack()
		ps[1].binds("s")
		ps[1].hears("settled")
	})
}

// What is under way goes on after an upgrade.
func TestNewsAreFrozen(t *testing.T) {
	for _, heard := range []bool{false, true} {
		hub := NewHub()
		ps := servers(t, hub, 2)
		ps[0].comesBack()
		ps[1].binds("s")
		ps[0].hears("sessions")
		if heard {
			ps[0].sayOurs("heard") // to whoever reads it
		}
		thawAll(t, ps[1], ps[0])
		if !heard {
			ps[0].hears("sessions")
			ps[1].silent()
			ps[0].sayOurs("heard")
		}
		ps[1].hears("settled")
	}
}

// A worker that had ended before an upgrade is not waited for after it.
func TestNewsWaitForNobodyWhoHasEnded(t *testing.T) {
	hub := NewHub()
	state := &LinkState{Serialization: JSON, Socket: -1, Helper: helperState{Here: true, Nobody: true}}
	l, err := Thaw(state, nil, nil, Options{Hub: hub, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if len(hub.news.unheard) != 0 {
		t.Error("it is waited for")
	}
	l.Close()
}
