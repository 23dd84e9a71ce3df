//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// webSocket sends each message back. It is what RFC 6455 asks for as far as
// the generator uses it: binary messages of one frame, up to 64 KiB.
func (h *handler) webSocket(rw http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Worker: %s\r\n\r\n", h.name)
	in, message := bufio.NewReaderSize(buffered.Reader, 32<<10), []byte(nil)
	for {
		if message, err = readMessage(in, message); err != nil {
			return
		}
		if _, err := conn.Write(message); err != nil {
			return
		}
	}
}

// readMessage reads a client's frame into room and returns it as a server
// sends it.
func readMessage(in *bufio.Reader, room []byte) ([]byte, error) {
	var header [8]byte
	if _, err := io.ReadFull(in, header[:2]); err != nil {
		return nil, err
	}
	if header[0] != 0x82 || header[1]&0x80 == 0 || header[1] == 0xff {
		return nil, errors.New("not a masked binary message of at most 64 KiB")
	}
	size := int(header[1] &^ 0x80)
	if size == 126 {
		if _, err := io.ReadFull(in, header[:2]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(header[:]))
	}
	mask := header[4:]
	if _, err := io.ReadFull(in, mask); err != nil {
		return nil, err
	}
	message := append(room[:0], frameHeader(size, 0)...)
	begin := len(message)
	message = append(message, make([]byte, size)...)
	if _, err := io.ReadFull(in, message[begin:]); err != nil {
		return nil, err
	}
	for i := range size {
		message[begin+i] ^= mask[i%4]
	}
	return message, nil
}
