package main

import "strings"

// head is what a browser sends, about 520 bytes.
const head = "GET {path} HTTP/1.1\r\nHost: stickyd.example:3000\r\nConnection: {connection}\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nOrigin: https://stickyd.example\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n" +
	"Referer: https://stickyd.example/chat/room/42\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: theme=dark; consent=1\r\n{more}\r\n"

// upgradeHeaders ask for a WebSocket. The key is the example of RFC 6455.
const upgradeHeaders = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// closing is a request after which the connection is not used again.
func closing(path string) []byte { return request(path, "close", "") }

// keeping is one of several on a connection.
func keeping(path string) []byte { return request(path, "keep-alive", "") }

// upgrading asks for a WebSocket.
func upgrading(path string) []byte { return request(path, "Upgrade", upgradeHeaders) }

func request(path, connection, more string) []byte {
	return []byte(strings.NewReplacer("{path}", path, "{connection}", connection, "{more}", more).Replace(head))
}

// frame is a WebSocket message of so many bytes as a client sends it. The mask
// is 0, so that the echo is the payload as it is.
func frame(size int) []byte {
	b := frameHeader(size, 0x80)
	b = append(b, 0, 0, 0, 0)
	for i := range size {
		b = append(b, byte('a'+i%26))
	}
	return b
}

// frameHeader begins a binary message, up to its length; masked is 0x80 or 0.
func frameHeader(size int, masked byte) []byte {
	if size < 126 {
		return []byte{0x82, masked | byte(size)}
	}
	return []byte{0x82, masked | 126, byte(size >> 8), byte(size)}
}
