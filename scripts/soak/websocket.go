//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// webSocket is a session on one connection (RFC 6455).
type webSocket struct {
	load *load
	conn net.Conn
	in   *bufio.Reader
}

func (w *webSocket) kind() string { return "websocket" }

func (w *webSocket) open() (err error) {
	if w.conn, err = w.load.dial(context.Background(), "tcp", w.load.addr); err != nil {
		return err
	}
	w.in = bufio.NewReader(w.conn)
	w.conn.SetDeadline(time.Now().Add(answerLimit))
	_, err = io.WriteString(w.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: soak\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3RpY2t5ZCBzb2FrIHRlcw==\r\n\r\n")
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(resp.Body)
		return &statusError{resp.StatusCode, resp.Header.Get("X-Worker"), string(b)}
	}
	packet, err := w.receive()
	if err == nil {
		_, err = sidOf(packet[0])
	}
	return err
}

const (
	opText  = 1
	opClose = 8
	opPing  = 9
	final   = 0x80
	masked  = 0x80
)

func (w *webSocket) send(packet string) error {
	w.load.judge.figures.add("messages: websocket")
	return w.write(opText, packet)
}

// write sends a short frame. Its mask is 0, which changes nothing.
func (w *webSocket) write(op byte, text string) error {
	w.conn.SetDeadline(time.Now().Add(answerLimit))
	_, err := w.conn.Write(append([]byte{final | op, masked | byte(len(text)), 0, 0, 0, 0}, text...))
	return err
}

func (w *webSocket) receive() ([]string, error) {
	for {
		op, text, err := w.read()
		switch {
		case err != nil:
			return nil, err
		case op == opText:
			return []string{text}, nil
		case op == opClose:
			return nil, errClosed
		case op == opPing:
			if err := w.write(opPing+1, text); err != nil {
				return nil, err
			}
		}
	}
}

// read reads one frame. Servers do not mask theirs.
func (w *webSocket) read() (op byte, text string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return 0, "", err
	}
	length := uint64(head[1] &^ masked)
	switch length {
	case 126:
		var n [2]byte
		_, err = io.ReadFull(w.in, n[:])
		length = uint64(binary.BigEndian.Uint16(n[:]))
	case 127:
		return 0, "", fmt.Errorf("a frame of more than 64 KiB")
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, length)
	_, err = io.ReadFull(w.in, b)
	return head[0] & 0x0f, string(b), err
}

func (w *webSocket) close() {
	if w.conn != nil {
		w.write(opClose, "")
		w.conn.Close()
	}
}
