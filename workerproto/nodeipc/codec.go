package nodeipc

import (
	"errors"
	"fmt"

	"github.com/stickyd/stickyd/workerproto"
)

// A Serialization is how messages are written, by the name that Node's
// child_process gives it.
type Serialization string

// The serializations.
const (
	JSON     Serialization = "json"     // Buffers become objects
	Advanced Serialization = "advanced" // V8's structured clone: Buffers stay Buffers

	// Unreadable is what Bun writes in place of Advanced: a Link ends with
	// ErrSerialization at its first byte, and the next worker is told to use JSON.
	Unreadable Serialization = "unreadable"
)

// What Bun begins with: a message of its own in JSON, and one in JavaScriptCore's
// structured clone.
const (
	BunJSON     = 0x02
	BunAdvanced = 0x01
)

// ErrSerialization is what Run returns where the worker writes what stickyd can't
// read.
var ErrSerialization = errors.New("nodeipc: the worker's messages are in another serialization")

// maxMessage bounds a message in bytes. Node has no limit of its own.
const maxMessage = 64 << 20

// A codec writes and reads messages in one serialization. The worker's
// messages are called frames here: with what marks their end or their length.
type codec interface {
	// frame returns the size of the frame that b begins with, 0 if that is not
	// whole yet. The first searched bytes of b had been looked at before.
	frame(b []byte, searched int) (size int, err error)

	// decode returns the members of the object in a frame. An error means that
	// stickyd can't read it, not that the worker did something wrong.
	decode(frame []byte) (object, error)

	// text returns the string in a frame, if it is one.
	text(frame []byte) (text string, ok bool)

	// encode returns a frame.
	encode(o object) []byte
}

func (s Serialization) codec() codec {
	switch s {
	case JSON:
		return jsonCodec{}
	case Unreadable:
		return noCodec{}
	}
	return v8Codec{}
}

// noCodec reads nothing. What it writes nobody gets.
type noCodec struct{ jsonCodec }

func (noCodec) frame([]byte, int) (int, error) { return 0, ErrSerialization }

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", workerproto.ErrProtocol, fmt.Sprintf(format, args...))
}
