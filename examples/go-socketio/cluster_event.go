package main

import (
	"errors"
	"fmt"

	"github.com/zishang520/socket.io/parsers/socket/v3/parser"
)

// encodeEvent returns a packet in the form in which clients get it: a text, and
// the binary arguments. Any other encoding would have its own idea of structs,
// readers, times and JSON marshalers, and the clients of other workers would get
// something else than ours. The namespace is left to who sends it on.
func encodeEvent(packet *parser.Packet) [][]byte {
	bare := &parser.Packet{Type: packet.Type, Id: packet.Id, Data: packet.Data}
	var parts [][]byte
	for _, part := range parser.NewEncoder().Encode(bare) {
		parts = append(parts, part.Bytes())
	}
	return parts
}

// decodeEvent returns the packet that encodeEvent was given. An error says that
// the data was nothing that Socket.IO can send, which encoders don't tell.
func decodeEvent(parts [][]byte) (*parser.Packet, error) {
	if len(parts) == 0 {
		return nil, errors.New("an event without content")
	}
	options := parser.DefaultDecoderOptions()
	options.SetMaxAttachments(uint64(len(parts))) // it's us who sent them
	decoder := parser.NewDecoder(options)
	var packet *parser.Packet
	decoder.On("decoded", func(args ...any) { packet = args[0].(*parser.Packet) })
	err := decoder.Add(string(parts[0]))
	for _, part := range parts[1:] {
		if err == nil {
			err = decoder.Add(part)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("not an event that can be sent: %w", err)
	}
	if packet == nil || (packet.Type != parser.EVENT && packet.Type != parser.BINARY_EVENT) {
		return nil, errors.New("not a whole event")
	}
	packet.Type = parser.EVENT // encoders find out themselves whether it is binary
	return packet, nil
}
