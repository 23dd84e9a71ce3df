package supervisor

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/workerproto"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// A thawer is a supervisor and one worker, whose link it freezes and thaws.
type thawer struct {
	t      *testing.T
	s      *Supervisor
	w      *Worker
	link   Link
	ran    chan error
	worker *fdpass.Conn // the worker's end
}

func newThawer(t *testing.T) *thawer {
	t.Helper()
	near, far, err := fdpass.Channel()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := fdpass.Adopt(far)
	if err != nil {
		t.Fatal(err)
	}
	th := &thawer{
		t: t, worker: worker, ran: make(chan error, 1),
		s: New(Spec{Launch: Launch{Protocol: Auto, Serialization: nodeipc.Advanced}, Workers: 1}, nil, slog.New(slog.DiscardHandler)),
		w: &Worker{Slot: 1, client: nobody{}, events: make(chan event, maxEvents)},
	}
	th.w.launch = th.s.current
	th.run(th.s.newLink(near, th.w))
	t.Cleanup(func() {
		th.link.Close()
		<-th.ran
		worker.Close()
	})
	return th
}

func (th *thawer) run(l Link) {
	th.link = l
	go func() { th.ran <- l.Run() }()
}

// thaw makes the link another, of what JSON keeps of it.
func (th *thawer) thaw() linkState {
	th.t.Helper()
	th.link.Freeze()
	state := th.frozen()
	l, err := th.s.thawLink(state, th.w)
	if err != nil {
		th.t.Fatal(err)
	}
	th.run(l)
	return state
}

func (th *thawer) frozen() (state linkState) {
	th.t.Helper()
	if err := <-th.ran; err != workerproto.ErrFrozen {
		th.t.Errorf("Run returned %v", err)
	}
	text, err := json.Marshal(stateOf(th.link))
	if err != nil {
		th.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		th.t.Fatal(err)
	}
	return state
}

// A worker that has said nothing decides on its dialect later; one that has
// keeps to it.
func TestLinkOfAnyDialectThaws(t *testing.T) {
	for _, tt := range []struct {
		name, say string
		node      bool
	}{
		{"native", "\x81\x00\x00\x00\x00\x00\x00\x0cmin=1\nmax=1\n", false},
		{"JSON of Node", `{"cmd":"NODE_CLUSTER","act":"online","seq":0}` + "\n", true},
		{"V8 of Node", "\x00\x00\x00\x05\xff\x0fo{\x00", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			th := newThawer(t)
			if state := th.thaw(); state.Native != nil || state.Node != nil || len(state.fds()) != 1 {
				t.Errorf("before a word the state is %+v", state)
			}
			th.worker.TrySend([]byte(tt.say), nil)
			th.link.Sync()
			for range 2 {
				state := th.thaw()
				if (state.Node != nil) != tt.node || (state.Native != nil) == tt.node || len(state.fds()) == 0 {
					t.Errorf("the state is %+v", state)
				}
			}
		})
	}
}

// A worker that says its first word while its link is frozen is heard.
func TestFirstWordWhileFrozen(t *testing.T) {
	th := newThawer(t)
	th.link.Freeze()
	state := th.frozen()
	th.worker.TrySend([]byte("GET / HTTP/1.1\r\n"), nil)
	l, err := th.s.thawLink(state, th.w)
	if err != nil {
		t.Fatal(err)
	}
	th.run(l)
	err = <-th.ran
	if err == nil {
		t.Error("it was not heard")
	}
	th.ran <- err // for Cleanup
}

// A worker that ended without a word stays so.
func TestThawAfterNoWord(t *testing.T) {
	th := newThawer(t)
	th.worker.Shutdown()
	if err := <-th.ran; err != nil {
		t.Error(err)
	}
	for range 2 {
		th.link.Freeze()
		state := stateOf(th.link)
		if len(state.fds()) > 0 {
			t.Errorf("the state has %v", state.fds())
		}
		l, err := th.s.thawLink(state, th.w)
		if err != nil {
			t.Fatal(err)
		}
		th.run(l)
		if err := <-th.ran; err != nil {
			t.Error(err)
		}
	}
	th.ran <- nil // for Cleanup
}

// A socket that is none is reported, and there is no Link.
func TestThawFails(t *testing.T) {
	th := newThawer(t)
	for _, state := range []linkState{
		{Socket: 1 << 20},
		{Native: &workerproto.LinkState{Socket: 1 << 20, Page: -1}},
		{Node: &nodeipc.LinkState{Socket: 1 << 20}},
	} {
		if l, err := th.s.thawLink(state, th.w); err == nil || l != nil {
			t.Errorf("thawed %v (%v)", l, err)
		}
	}
}
