package workerproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Version is the protocol version that this package speaks.
const Version = 1

const (
	// HeaderSize is the size of a frame's header in bytes.
	HeaderSize = 8

	// MaxReplay is the most bytes that a CONN or RETURN carries: a request
	// head of 64 KiB and the 4 KiB that an HTTP server may have read behind it.
	MaxReplay = 68 << 10

	// MaxBody is the size of the largest body. A longer one is a protocol
	// error.
	MaxBody = 128 << 10

	// MaxID is the length of the longest session id in bytes.
	MaxID = 256
)

// Type says what a frame means. Frames from stickyd have the high bit clear,
// frames from the worker have it set.
type Type uint8

// The frames of version 1. PROTOCOL.md has their bodies.
const (
	Welcome Type = 0x01 // stickyd → worker: answers Hello
	Conn    Type = 0x02 // stickyd → worker: a connection; carries its descriptor
	Drain   Type = 0x03 // stickyd → worker: no new sessions, and a deadline
	Refused Type = 0x04 // stickyd → worker: a Bind was refused
	Deliver Type = 0x05 // stickyd → worker: what another worker published

	Hello   Type = 0x81 // worker → stickyd: the first frame, once
	Ready   Type = 0x82 // worker → stickyd: connections may come, once
	Bind    Type = 0x83 // worker → stickyd: these sessions are mine
	Unbind  Type = 0x84 // worker → stickyd: these sessions ended
	Taken   Type = 0x85 // worker → stickyd: the application accepted all up to this one
	Decline Type = 0x86 // worker → stickyd: not taken, route it elsewhere
	Closed  Type = 0x87 // worker → stickyd: so many connections ended
	Return  Type = 0x88 // worker → stickyd: a connection back; carries its descriptor
	Leaving Type = 0x89 // worker → stickyd: no new sessions, please

	Subscribe Type = 0x8a // worker → stickyd: I want what is published under these topics
	Publish   Type = 0x8b // worker → stickyd: a message for the others
)

var typeNames = map[Type]string{
	Welcome: "WELCOME", Conn: "CONN", Drain: "DRAIN", Refused: "REFUSED",
	Hello: "HELLO", Ready: "READY", Bind: "BIND", Unbind: "UNBIND",
	Taken: "TAKEN", Decline: "DECLINE", Closed: "CLOSED", Return: "RETURN",
	Leaving: "LEAVING", Deliver: "DELIVER", Subscribe: "SUBSCRIBE", Publish: "PUBLISH",
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("frame type 0x%02x", uint8(t))
}

// Flags of a frame. Unknown ones are ignored.
const (
	// FlagDescriptor: this frame owns the next descriptor of its message.
	FlagDescriptor = 1 << 0

	// FlagSession, on Conn and Return: the connection belongs to a live
	// session, so it does not count as load by itself.
	FlagSession = 1 << 1

	// FlagMore, on Publish and Deliver: the message goes on in the publisher's
	// next frame of this topic.
	FlagMore = 1 << 2

	// FlagAborted, on Deliver: the publisher ended in the middle of a message.
	FlagAborted = 1 << 3
)

// ErrProtocol is the cause of every error about a peer that broke the rules
// of PROTOCOL.md. The conversation is over.
var ErrProtocol = errors.New("protocol error")

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// appendHeader appends a header for a body of the given length. The number of
// descriptors is filled in when the message is put together (setDescriptors).
func appendHeader(b []byte, t Type, flags uint8, length int) []byte {
	b = append(b, byte(t), flags, 0, 0)
	return binary.BigEndian.AppendUint32(b, uint32(length))
}

// withDescriptor makes the frame b own a descriptor.
func withDescriptor(b []byte) []byte {
	b[1] |= FlagDescriptor
	return b
}

// setDescriptors writes into the frame at the start of b how many descriptors
// the message that it begins carries.
func setDescriptors(b []byte, n int) { binary.BigEndian.PutUint16(b[2:], uint16(n)) }

// appendNumber appends a frame whose body is one 64-bit number: TAKEN, DECLINE.
func appendNumber(b []byte, t Type, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendHeader(b, t, 0, 8), n)
}

// appendCount appends a frame whose body is one 32-bit number: CLOSED, DRAIN.
func appendCount(b []byte, t Type, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(b, t, 0, 4), n)
}

// connSize is the size in bytes of a CONN or RETURN with nothing to replay.
const connSize = HeaderSize + 8

// appendConn appends a CONN or RETURN, which always owns a descriptor.
func appendConn(b []byte, t Type, flags uint8, id uint64, replay []byte) []byte {
	b = appendHeader(b, t, flags|FlagDescriptor, 8+len(replay))
	b = binary.BigEndian.AppendUint64(b, id)
	return append(b, replay...)
}

// appendBind appends a BIND of one id. adopted is how many connections stop
// counting as load because the session came over them.
func appendBind(b []byte, adopted uint32, id string) []byte {
	b = appendHeader(b, Bind, 0, 4+2+len(id))
	b = binary.BigEndian.AppendUint32(b, adopted)
	return appendID(b, id)
}

// appendIDFrame appends a frame whose body is one id: UNBIND, REFUSED.
func appendIDFrame(b []byte, t Type, id string) []byte {
	return appendID(appendHeader(b, t, 0, 2+len(id)), id)
}

// appendPublish appends a PUBLISH of a message or a piece of one.
func appendPublish(b []byte, flags uint8, topic string, piece []byte) []byte {
	b = appendID(appendHeader(b, Publish, flags, 2+len(topic)+len(piece)), topic)
	return append(b, piece...)
}

// appendDelivery appends a DELIVER of what the worker of that incarnation has
// published.
func appendDelivery(b []byte, flags uint8, from uint32, topic, piece []byte) []byte {
	b = appendHeader(b, Deliver, flags, 4+2+len(topic)+len(piece))
	b = binary.BigEndian.AppendUint32(b, from)
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	return append(b, piece...)
}

// parsePublish reads the body of PUBLISH and, behind its first 4 bytes, of
// DELIVER. topic and piece point into body.
func parsePublish(t Type, body []byte) (topic, piece []byte, err error) {
	n := 0
	if len(body) >= 2 {
		n = int(binary.BigEndian.Uint16(body))
	}
	if n == 0 || n > MaxTopic || n > len(body)-2 {
		return nil, nil, protocolErrorf("%s with a topic of %d bytes in a body of %d (allowed: 1 to %d)", t, n, len(body), MaxTopic)
	}
	return body[2 : 2+n], body[2+n:], nil
}

func appendID(b []byte, id string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(id)))
	return append(b, id...)
}

// parseNumber reads the body of TAKEN and DECLINE. Like all parsers it ignores
// bytes behind what it knows, so that later versions can add fields.
func parseNumber(t Type, body []byte) (uint64, error) {
	if len(body) < 8 {
		return 0, protocolErrorf("%s with a body of %d bytes, not 8", t, len(body))
	}
	return binary.BigEndian.Uint64(body), nil
}

// parseCount reads the body of CLOSED and DRAIN.
func parseCount(t Type, body []byte) (uint32, error) {
	if len(body) < 4 {
		return 0, protocolErrorf("%s with a body of %d bytes, not 4", t, len(body))
	}
	return binary.BigEndian.Uint32(body), nil
}

// parseConn reads the body of CONN and RETURN; replay points into body.
func parseConn(t Type, body []byte) (id uint64, replay []byte, err error) {
	if len(body) < 8 {
		return 0, nil, protocolErrorf("%s with a body of %d bytes, less than 8", t, len(body))
	}
	if len(body) > 8+MaxReplay {
		return 0, nil, protocolErrorf("%s with %d bytes to replay, more than %d", t, len(body)-8, MaxReplay)
	}
	return binary.BigEndian.Uint64(body), body[8:], nil
}

// parseIDs yields the ids in body, each pointing into it. An error ends it.
func parseIDs(t Type, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for len(body) > 0 {
			if len(body) < 2 {
				yield(nil, protocolErrorf("%s with half a length at its end", t))
				return
			}
			n := int(binary.BigEndian.Uint16(body))
			if n == 0 || n > MaxID || n > len(body)-2 {
				yield(nil, protocolErrorf("%s with an id of %d bytes in the %d left (allowed: 1 to %d)", t, n, len(body)-2, MaxID))
				return
			}
			if !yield(body[2:2+n], nil) {
				return
			}
			body = body[2+n:]
		}
	}
}
