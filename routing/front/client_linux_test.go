package front

import (
	"io"
	"net"
)

// ask returns the answer to a request, which may come in two pieces, or the error.
func ask(at net.Addr, whole bool) string {
	conn, err := net.DialTimeout(at.Network(), at.String(), deadline)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	text := request
	if !whole {
		io.WriteString(conn, text[:10])
		text = text[10:]
	}
	io.WriteString(conn, text)
	got, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	return string(got)
}
