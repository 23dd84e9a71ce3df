package workerproto

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// startTeam returns workers whose links share a hub, with the links' conns.
func startTeam(t *testing.T, n int) (workers []*Worker, links []*Link, ran []<-chan error) {
	t.Helper()
	hub := NewHub()
	for i := range n {
		ours, theirs := pairOf(t)
		l, done := runLinkIn(t, hub, uint32(i+1), ours, newRecorder(t))
		w, err := attach(theirs)
		if err != nil {
			t.Fatal(err)
		}
		workers, links, ran = append(workers, w), append(links, l), append(ran, done)
	}
	return workers, links, ran
}

// subscribe collects what comes and returns when stickyd knows of it.
func subscribe(t *testing.T, w *Worker, l *Link, topic string) <-chan []byte {
	t.Helper()
	came := make(chan []byte, 10_000)
	if err := w.Subscribe(topic, func(b []byte) { came <- b }); err != nil {
		t.Fatal(err)
	}
	l.Sync()
	return came
}

func next(t *testing.T, came <-chan []byte) []byte {
	t.Helper()
	select {
	case b := <-came:
		return b
	case <-time.After(deadline):
		t.Fatal("no message came")
		return nil
	}
}

func TestPublishReachesTheOthersThatSubscribed(t *testing.T) {
	workers, links, _ := startTeam(t, 4)
	a, b := subscribe(t, workers[0], links[0], "chat"), subscribe(t, workers[1], links[1], "chat")
	other := subscribe(t, workers[2], links[2], "other")
	const messages = 500
	for i := range messages {
		if err := workers[0].Publish("chat", fmt.Append(nil, "a", i)); err != nil {
			t.Fatal(err)
		}
		if err := workers[3].Publish("chat", fmt.Append(nil, "d", i)); err != nil {
			t.Fatal(err)
		}
	}
	workers[3].Publish("other", nil)
	var fromA, fromD []string
	for range 2 * messages {
		switch text := string(next(t, b)); text[0] {
		case 'a':
			fromA = append(fromA, text)
		default:
			fromD = append(fromD, text)
		}
	}
	for i := range messages {
		if fromA[i] != fmt.Sprint("a", i) || fromD[i] != fmt.Sprint("d", i) {
			t.Fatalf("message %d: %s, %s", i, fromA[i], fromD[i])
		}
		if got := string(next(t, a)); got != fromD[i] {
			t.Fatalf("the publisher of others hears %s", got)
		}
	}
	if got := next(t, other); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if len(a)+len(b)+len(other) > 0 {
		t.Error("more came than was published")
	}
}

func TestPublishOfLargeMessages(t *testing.T) {
	workers, links, _ := startTeam(t, 3)
	came := subscribe(t, workers[2], links[2], "t")
	sizes := []int{0, 1, publishPiece, publishPiece + 1, 20 << 20}
	var want []string
	done := make(chan error)
	for i, w := range workers[:2] { // at the same time
		go func() {
			var err error
			for _, size := range sizes {
				err = errors.Join(err, w.Publish("t", bytes.Repeat([]byte{'a' + byte(i)}, size)))
			}
			done <- err
		}()
		for _, size := range sizes {
			want = append(want, fmt.Sprintf("%d%s", size, strings.Repeat(string('a'+rune(i)), min(size, 1))))
		}
	}
	var got []string
	for range want {
		b := next(t, came)
		letter := b[:min(len(b), 1)]
		if len(b) > 0 && bytes.Count(b, letter) != len(b) {
			t.Errorf("only %d of %d bytes are of one message", bytes.Count(b, letter), len(b))
		}
		got = append(got, fmt.Sprintf("%d%s", len(b), letter))
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What a worker had begun to publish when it died is forgotten.
func TestPublisherThatEndsInTheMiddle(t *testing.T) {
	hub := NewHub()
	ours, theirs := pairOf(t)
	l, _ := runLinkIn(t, hub, 9, ours, newRecorder(t))
	p := newScript(t, theirs)
	p.say(greeting)
	p.say(appendIDFrame(nil, Subscribe, "t"))
	l.Sync()
	other, conn := pairOf(t)
	_, ran := runLinkIn(t, hub, 10, other, newRecorder(t))
	publisher := newScript(t, conn)
	publisher.say(greeting)
	publisher.say(appendPublish(nil, FlagMore, "t", []byte("half")))
	conn.Shutdown()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	p.hear() // WELCOME
	for _, want := range []struct {
		flags uint8
		body  string
	}{{FlagMore, "\x00\x00\x00\x0a\x00\x01thalf"}, {FlagAborted, "\x00\x00\x00\x0a\x00\x01t"}} {
		if f := p.hear(); f.kind != Deliver || f.flags != want.flags || string(f.body) != want.body {
			t.Errorf("%s, flags %d, %q", f.kind, f.flags, f.body)
		}
	}
	var in inbox
	s := &subscription{wake: make(chan struct{}, 1)}
	in.add("t", s)
	for range MaxPublished/MaxBody + 1 { // of a library without limits
		in.take(FlagMore, 10, []byte("t"), make([]byte, MaxBody))
	}
	in.take(0, 10, []byte("t"), []byte("the end"))
	if _, ok := s.next(); ok {
		t.Error("a message that is too long was passed on")
	}
	in.take(FlagMore, 10, []byte("t"), []byte("half"))
	in.take(FlagAborted, 10, []byte("t"), nil)
	if len(in.parts) > 0 {
		t.Error("half a message is kept")
	}
}

func TestPublishRefusesWhatIsTooMuch(t *testing.T) {
	workers, _, _ := startTeam(t, 1)
	for _, topic := range []string{"", strings.Repeat("t", MaxTopic+1)} {
		if err := workers[0].Publish(topic, nil); !errors.Is(err, ErrPublish) {
			t.Errorf("topic of %d bytes: %v", len(topic), err)
		}
		if err := workers[0].Subscribe(topic, func([]byte) {}); !errors.Is(err, ErrPublish) {
			t.Errorf("topic of %d bytes: %v", len(topic), err)
		}
	}
	if err := workers[0].Publish("t", make([]byte, MaxPublished+1)); !errors.Is(err, ErrPublish) {
		t.Errorf("too large: %v", err)
	}
	alone := &Worker{plain: net.Listener(nil)}
	if err := alone.Publish("t", nil); err != nil {
		t.Errorf("without stickyd: %v", err)
	}
}

// A worker that does not read is ended, and nobody waits for it.
func TestSubscriberThatDoesNotReadIsEnded(t *testing.T) {
	hub := NewHub()
	ours, theirs := pairOf(t)
	l, ran := runLinkIn(t, hub, 9, ours, newRecorder(t))
	p := newScript(t, theirs)
	p.say(greeting)
	p.say(appendIDFrame(nil, Subscribe, "t"))
	l.Sync()
	other, conn := pairOf(t)
	runLinkIn(t, hub, 10, other, newRecorder(t))
	w, err := attach(conn)
	if err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 16<<20)
	for range maxPublished/len(message) + 1 {
		if err := w.Publish("t", message); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ran:
		if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "does not read") {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Fatal("it goes on")
	}
}

func TestLinkRefusesNonsenseAboutTopics(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		say        []byte
	}{
		{"no topic", "PUBLISH with a topic of 0 bytes", raw(Publish, 0, 0, "")},
		{"an empty topic", "PUBLISH with a topic of 0 bytes", raw(Publish, 0, 0, "\x00\x00text")},
		{"a topic longer than the frame", "PUBLISH with a topic of 9 bytes", raw(Publish, 0, 0, "\x00\x09text")},
		{"a long topic", "SUBSCRIBE with an id of 257 bytes", raw(Subscribe, 0, 0, "\x01\x01"+strings.Repeat("t", 257))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := pairOf(t)
			_, ran := runLink(t, ours, newRecorder(t))
			p := newScript(t, theirs)
			p.say(greeting)
			p.say(tt.say)
			if err := <-ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
	ours, theirs := pairOf(t)
	_, ran := runLink(t, ours, newRecorder(t))
	p := newScript(t, theirs)
	p.say(greeting)
	go p.conn.OnWritable(t.Context(), func() poll.Next {
		for i := 0; ; i++ {
			if _, err := p.conn.TrySend(appendIDFrame(nil, Subscribe, fmt.Sprint(i)), nil); err != nil {
				return poll.Until(!errors.Is(err, fdpass.ErrWouldBlock))
			}
		}
	})
	if err := <-ran; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "more than 1024 topics") {
		t.Errorf("ended with %v", err)
	}
}
