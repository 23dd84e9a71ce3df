package nodeipc

import (
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
)

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

	// encode returns a frame.
	encode(o object) []byte
}

func (s Serialization) codec() codec {
	if s == JSON {
		return jsonCodec{}
	}
	return v8Codec{}
}

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", workerproto.ErrProtocol, fmt.Sprintf(format, args...))
}
