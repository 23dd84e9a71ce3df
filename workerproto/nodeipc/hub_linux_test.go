package nodeipc

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/workerproto"
)

func adapterMessage(members ...member) object {
	return append(object{{"source", adapterSource}}, members...)
}

// hearsOnly checks what a worker hears next, and that it is all.
func (p *peer) hearsOnly(text string) {
	p.t.Helper()
	if o, _ := p.hear(); o.text("text") != text {
		p.t.Errorf("heard %v, want %q", o, text)
	}
	p.silent()
}

func threePeers(t *testing.T) (a, b, c *peer) {
	hub := NewHub()
	a, b, c = newPeer(t, Advanced, hub), newPeer(t, Advanced, hub), newPeer(t, Advanced, hub)
	for _, p := range []*peer{a, b, c} {
		p.start()
	}
	return a, b, c
}

func TestHubRelaysToOthersAndAnswersToTheRequester(t *testing.T) {
	a, b, c := threePeers(t)
	a.say(adapterMessage(member{"uid", "A"}, member{"nsp", "/"}, member{"type", 3}, member{"text", "hello"}))
	b.hearsOnly("hello")
	c.hearsOnly("hello")
	a.silent()
	b.say(adapterMessage(member{"uid", "B"}, member{"nsp", "/"}, member{"type", 8}, member{"requesterUid", "A"}, member{"text", "answer"}))
	a.hearsOnly("answer")
	c.silent()
	b.say(adapterMessage(member{"uid", "B"}, member{"nsp", "/"}, member{"type", 8}, member{"requesterUid", "nobody"}, member{"text", "lost"}))
	b.say(object{{"text", "no adapter's"}})
	b.say(adapterMessage(member{"uid", "A"}, member{"nsp", "/"}, member{"type", 3}, member{"text", "under another's name"}))
	a.hearsOnly("under another's name")
	c.hearsOnly("under another's name")
	c.say(adapterMessage(member{"uid", "C"}, member{"nsp", "/"}, member{"type", 8}, member{"requesterUid", "A"}, member{"text", "still A's"}))
	a.hearsOnly("still A's")
}

func TestHubSpeaksTheOldVersion(t *testing.T) {
	a, b, c := threePeers(t)
	b.say(adapterMessage(member{"nsp", "/"}, member{"type", 9},
		member{"data", object{{"workerId", int(a.link.terms.Incarnation)}}}, member{"text", "answer"}))
	a.hearsOnly("answer")
	c.silent()
	for _, c := range b.link.Close() {
		t.Error("left behind", c)
	}
	for _, p := range []*peer{a, c} {
		if o, _ := p.hear(); o.get("type") != float64(oldWorkerExit) || o.get("data") != float64(b.link.terms.Incarnation) {
			t.Error("told", o)
		}
	}
}

func TestHubSaysWhoHasGone(t *testing.T) {
	a, b, c := threePeers(t)
	for _, nsp := range []string{"/", "/admin"} {
		a.say(adapterMessage(member{"uid", "A" + nsp}, member{"nsp", nsp}, member{"type", 1}, member{"text", nsp}))
		b.hearsOnly(nsp)
		c.hearsOnly(nsp)
	}
	a.say(adapterMessage(member{"uid", "A/admin"}, member{"nsp", "/admin"}, member{"type", adapterClose}, member{"text", "bye"}))
	b.hearsOnly("bye")
	c.hearsOnly("bye")
	a.conn.Close()
	for _, p := range []*peer{b, c} {
		if o, _ := p.hear(); o.get("type") != float64(adapterClose) || o.text("uid") != "A/" || o.text("nsp") != "/" {
			t.Error("told", o)
		}
		p.silent()
	}
}

func TestHubRelaysWhatItCannotRead(t *testing.T) {
	a, b, _ := threePeers(t)
	strange := v8Codec{}.encode(adapterMessage(member{"data", "x"}))
	strange = bytes.Replace(strange, []byte{v8Latin1, 1, 'x'}, []byte{'?', 1, 'x'}, 1)
	a.sayRaw(strange)
	for {
		frame, ok, err := b.stream.next()
		if ok {
			if !bytes.Equal(frame, strange) {
				t.Errorf("relayed %q, want %q", frame, strange)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		b.stream.receive()
	}
}

// A worker that does not read costs a bounded amount of memory and holds up
// nobody.
func TestWorkerThatDoesNotReadIsEnded(t *testing.T) {
	a, b, c := threePeers(t)
	const size = 20 << 20
	big := v8Codec{}.encode(adapterMessage(member{"uid", "A"}, member{"nsp", "/"}, member{"type", 3}, member{"text", "big"},
		member{"data", make([]byte, size)}))
	for range maxOutbox/size + 3 {
		a.sayRaw(big)
		b.hearsOnly("big")
	}
	if err := <-c.ran; !errors.Is(err, workerproto.ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
		t.Error("ended with", err)
	}
	if c.link.out.size > maxOutbox+size+1000 {
		t.Errorf("%d bytes waited", c.link.out.size)
	}
	a.silent()
}

// An adapter with too long a name is heard, and not remembered.
func TestHubRemembersNoLongNames(t *testing.T) {
	a, b, _ := threePeers(t)
	for n, length := range []int{maxAdapterName, maxAdapterName - 1} {
		a.say(adapterMessage(member{"uid", strings.Repeat("u", length)}, member{"nsp", "/"}, member{"type", 3}, member{"text", "hello"}))
		b.hearsOnly("hello")
		hub := a.link.hub
		hub.mu.Lock()
		if got := len(hub.seats[a.link].namespaces); got != n {
			t.Errorf("%d are remembered, want %d", got, n)
		}
		hub.mu.Unlock()
	}
}

// engineMessage is what a cluster engine says.
func engineMessage(members ...member) object {
	return append(object{{"_source", engineSource}, {"type", 1}}, members...)
}

// What a cluster engine says goes to the worker that it is for, where that is
// known, else to all others, as from the primary of @socket.io/cluster-engine.
func TestEnginesHearOfEachOther(t *testing.T) {
	for _, s := range serializations {
		t.Run(string(s), func(t *testing.T) {
			hub := NewHub()
			a, b, c := newPeer(t, s, hub), newPeer(t, s, hub), newPeer(t, s, hub)
			for _, p := range []*peer{a, b, c} {
				p.start()
			}
			a.say(engineMessage(member{"senderId", "aaaaaa"}, member{"recipientId", "bbbbbb"}, member{"text", "who"}))
			for _, p := range []*peer{b, c} { // nobody knows b yet
				if o, _ := p.hear(); o.text("text") != "who" {
					t.Error("heard", o)
				}
			}
			b.say(engineMessage(member{"senderId", "bbbbbb"}, member{"recipientId", "aaaaaa"}, member{"text", "me"}))
			if o, _ := a.hear(); o.text("text") != "me" {
				t.Error("heard", o)
			}
			a.say(engineMessage(member{"senderId", "aaaaaa"}, member{"recipientId", "bbbbbb"}, member{"text", "you"}))
			if o, _ := b.hear(); o.text("text") != "you" {
				t.Error("heard", o)
			}
			c.silent()
			b.link.Close()
			a.say(engineMessage(member{"senderId", "aaaaaa"}, member{"recipientId", "bbbbbb"}, member{"text", "gone?"}))
			if o, _ := c.hear(); o.text("text") != "gone?" {
				t.Error("heard", o)
			}
		})
	}
}
