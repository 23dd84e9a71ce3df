package front

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/routing/session"
)

// An answer is a complete HTTP/1.1 response of our own.
type answer struct {
	status int
	text   string // one sentence, for a person
}

var (
	badLine   = answer{http.StatusBadRequest, "this is not an HTTP/1.1 request"}
	tlsHello  = answer{http.StatusBadRequest, "this port speaks plain HTTP, not HTTPS"}
	http2     = answer{http.StatusHTTPVersionNotSupported, "this port speaks HTTP/1.1, not HTTP/2 without negotiation"}
	tooSlow   = answer{http.StatusRequestTimeout, "the request's head did not arrive in time"}
	longURI   = answer{http.StatusRequestURITooLong, "the request line is too long"}
	longField = answer{http.StatusRequestHeaderFieldsTooLarge, "the request's header is too large"}
	noWorker  = answer{http.StatusServiceUnavailable, "no worker could take the request in time"}
	tooMany   = answer{http.StatusServiceUnavailable, "too many connections are waiting"}
	stopping  = answer{http.StatusServiceUnavailable, "the server is stopping"}
	noFiles   = answer{http.StatusServiceUnavailable, "out of descriptors"}
)

func answerTo(s session.Status) answer {
	switch s {
	case session.TLSHello:
		return tlsHello
	case session.HTTP2Preface:
		return http2
	}
	return badLine
}

// tooLong answers a head that is incomplete at the limit.
func tooLong(head session.Head) answer {
	if head.Target != nil {
		return longField
	}
	return longURI
}

func (a answer) bytes() []byte {
	retry := ""
	if a.status == http.StatusServiceUnavailable {
		retry = "Retry-After: 1\r\n"
	}
	body := "stickyd: " + a.text + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"+
		"%sConnection: close\r\n\r\n%s", a.status, http.StatusText(a.status), len(body), retry, body)
}

const (
	// lingerTime and lingerBytes bound how long and how much is read from a
	// client that is being sent away.
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// turnAway ends a connection that no target gets.
func (f *Front) turnAway(c Conn, why look) {
	switch why.verdict {
	case answered:
		return
	case gone:
		f.Stats.Abandoned.Add(1)
		if c.FD >= 0 {
			unix.Close(c.FD)
		}
		return
	}
	f.Stats.Refused.Add(1)
	f.log.Debug("connection refused", "client", peerAddress(c.FD), "status", why.answer.status, "reason", why.answer.text)
	if why.verdict == refuse && (why.answer == tooMany || why.answer == stopping) {
		answerAndClose(c.FD, why.answer) // its place is needed now
		return
	}
	answerAndLinger(os.NewFile(uintptr(c.FD), "client"), why.answer)
}

// answerAndLinger sends an answer so that the client can read it, and closes
// file: closing with unread input sends a reset, which destroys what was sent
// before (RFC 9112, section 9.6). So it reads on for a while.
func answerAndLinger(file *os.File, a answer) {
	defer file.Close()
	file.SetDeadline(time.Now().Add(lingerTime))
	if _, err := file.Write(a.bytes()); err != nil {
		return
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
	buf := make([]byte, 4<<10)
	for total := 0; total < lingerBytes; {
		n, err := file.Read(buf)
		if err != nil {
			return
		}
		total += n
	}
}

// answerAndClose sends an answer without spending anything on its arrival.
func answerAndClose(fd int, a answer) {
	unix.SendmsgN(fd, a.bytes(), nil, nil, unix.MSG_DONTWAIT)
	unix.Shutdown(fd, unix.SHUT_WR)
	unix.Close(fd)
}
