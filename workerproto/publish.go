package workerproto

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

const (
	// MaxTopic is the length of the longest topic in bytes.
	MaxTopic = 256

	// MaxPublished is the size of the largest message that Publish takes.
	MaxPublished = 64 << 20

	// publishPiece is how much of a message a frame carries: several fit the
	// control socket at a time, and none holds up a connection for long.
	publishPiece = 24 << 10

	// maxQueued bounds in bytes what waits for a subscriber's function.
	maxQueued = 2 * MaxPublished
)

// ErrPublish is the cause of errors about a topic or message that can't be
// published.
var ErrPublish = errors.New("workerproto: cannot publish")

func checkTopic(topic string) error {
	if len(topic) == 0 || len(topic) > MaxTopic {
		return fmt.Errorf("%w: a topic has 1 to %d bytes, not %d", ErrPublish, MaxTopic, len(topic))
	}
	return nil
}

// Publish sends a message to the other workers that have subscribed to its
// topic; not to this one. Messages of one worker arrive in their order. Nothing
// is kept for workers that subscribe later, and nothing says who got it.
//
// It waits while the control socket is full. Without stickyd there are no other
// workers, and it does nothing.
func (w *Worker) Publish(topic string, payload []byte) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	if len(payload) > MaxPublished {
		return fmt.Errorf("%w: a message has at most %d bytes, not %d", ErrPublish, MaxPublished, len(payload))
	}
	if w.conn == nil {
		return nil
	}
	w.publishing.Lock() // the pieces of two messages must not mix
	defer w.publishing.Unlock()
	for {
		piece := payload[:min(len(payload), publishPiece)]
		payload = payload[len(piece):]
		var flags uint8
		if len(payload) > 0 {
			flags = FlagMore
		}
		if err := w.send(appendPublish(nil, flags, topic, piece), -1); err != nil {
			return fmt.Errorf("%w: stickyd is gone: %w", ErrPublish, err)
		}
		if len(payload) == 0 {
			return nil
		}
	}
}

// Subscribe calls handle with each message that another worker publishes under
// a topic from now on, one after the other, from a goroutine of its own, until
// stickyd is gone. payload is handle's. Messages that come while handle is at
// work wait in memory, 128 MiB at most; further ones are dropped, and the log
// says so. Several functions may subscribe to one topic.
func (w *Worker) Subscribe(topic string, handle func(payload []byte)) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	if w.conn == nil {
		return nil
	}
	s := &subscription{handle: handle, wake: make(chan struct{}, 1)}
	w.inbox.add(topic, s)
	go s.run(w.ended) // ends with the control socket, like the receiver
	w.write.Lock()
	defer w.write.Unlock()
	return w.sendLocked(appendIDFrame(nil, Subscribe, topic), -1)
}

// An inbox puts messages together again and gives them to who has subscribed.
type inbox struct {
	mu            sync.Mutex
	subscriptions map[string][]*subscription
	parts         map[origin]*part // only the receiver uses it
}

// An origin is where the pieces of one message come from.
type origin struct {
	from  uint32 // incarnation of the publisher
	topic string
}

// A part is what has come of a message whose end has not.
type part struct {
	message []byte
	tooLong bool // it is not kept
}

func (in *inbox) add(topic string, s *subscription) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.subscriptions == nil {
		in.subscriptions = make(map[string][]*subscription)
	}
	in.subscriptions[topic] = append(in.subscriptions[topic], s)
}

// take takes a frame's piece. It is called by the receiver only.
func (in *inbox) take(flags uint8, from uint32, topic, piece []byte) {
	key := origin{from, string(topic)}
	p := in.parts[key]
	if p == nil {
		p = &part{}
	}
	if p.tooLong = p.tooLong || len(p.message)+len(piece) > MaxPublished; p.tooLong {
		p.message = nil
	} else {
		p.message = append(p.message, piece...)
	}
	if flags&FlagMore != 0 {
		if in.parts == nil {
			in.parts = make(map[origin]*part)
		}
		in.parts[key] = p
		return
	}
	delete(in.parts, key)
	if flags&FlagAborted != 0 || p.tooLong {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.subscriptions[key.topic] {
		s.put(p.message)
	}
}

// A subscription is a function and the messages that wait for it.
type subscription struct {
	handle func(payload []byte)

	mu      sync.Mutex
	queue   [][]byte
	size    int // bytes in queue
	dropped int // messages, since the log was told
	wake    chan struct{}
}

func (s *subscription) put(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+len(message) > maxQueued {
		s.dropped++
		return
	}
	s.queue = append(s.queue, append([]byte(nil), message...))
	s.size += len(message)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) run(ended <-chan struct{}) {
	for {
		select {
		case <-s.wake:
		case <-ended:
			return
		}
		for message, ok := s.next(); ok; message, ok = s.next() {
			s.handle(message)
		}
	}
}

func (s *subscription) next() (message []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped > 0 {
		slog.Warn("messages of other workers dropped: the subscriber is too slow", "messages", s.dropped)
		s.dropped = 0
	}
	if len(s.queue) == 0 {
		return nil, false
	}
	message, s.queue = s.queue[0], s.queue[1:]
	s.size -= len(message)
	return message, true
}
