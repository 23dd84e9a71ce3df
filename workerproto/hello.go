package workerproto

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The bodies of HELLO and WELCOME are lines of key=value, so that either side
// can add keys that the other does not know yet and ignores.

// A hello is what a worker says first.
type hello struct {
	min, max int    // protocol versions that it speaks
	library  string // for logs
	page     bool   // it can count on a page that stickyd shares
}

func (h hello) append(b []byte) []byte {
	body := fmt.Sprintf("min=%d\nmax=%d\nlibrary=%s\n", h.min, h.max, h.library)
	if h.page {
		body += "page=1\n"
	}
	return append(appendHeader(b, Hello, 0, len(body)), body...)
}

func parseHello(body []byte) (h hello, err error) {
	err = parseLines(Hello, body, func(key, value string) (err error) {
		switch key {
		case "min":
			h.min, err = strconv.Atoi(value)
		case "max":
			h.max, err = strconv.Atoi(value)
		case "library":
			h.library = value
		case "page":
			h.page = value == "1"
		}
		return err
	})
	if err == nil && (h.min < 1 || h.max < h.min) {
		err = protocolErrorf("HELLO with versions %d to %d", h.min, h.max)
	}
	return h, err
}

// Terms is what stickyd tells a worker when it answers its HELLO.
type Terms struct {
	Slot        int      // 1 to Workers; stays when the worker is replaced
	Workers     int      // how many slots there are
	Incarnation uint32   // this process's number, never used again
	Window      int      // connections that stickyd sends before one is taken
	Sessions    []string // where session ids stand, in order: "query:sid", …
}

func (t Terms) append(b []byte, version int) []byte {
	var body strings.Builder
	fmt.Fprintf(&body, "version=%d\nslot=%d\nworkers=%d\nincarnation=%d\nwindow=%d\n",
		version, t.Slot, t.Workers, t.Incarnation, t.Window)
	for _, s := range t.Sessions {
		fmt.Fprintf(&body, "session=%s\n", s)
	}
	return append(appendHeader(b, Welcome, 0, body.Len()), body.String()...)
}

func parseWelcome(body []byte) (version int, t Terms, err error) {
	err = parseLines(Welcome, body, func(key, value string) (err error) {
		switch key {
		case "version":
			version, err = strconv.Atoi(value)
		case "slot":
			t.Slot, err = strconv.Atoi(value)
		case "workers":
			t.Workers, err = strconv.Atoi(value)
		case "incarnation":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			t.Incarnation = uint32(n)
		case "window":
			t.Window, err = strconv.Atoi(value)
		case "session":
			t.Sessions = append(t.Sessions, value)
		}
		return err
	})
	if err == nil && version != Version {
		err = protocolErrorf("WELCOME with version %d, offered was %d", version, Version)
	}
	return version, t, err
}

func parseLines(kind Type, body []byte, set func(key, value string) error) error {
	for line := range bytes.Lines(body) {
		key, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		if !ok {
			return protocolErrorf("%s with the line %q, which is not key=value", kind, line)
		}
		if err := set(key, value); err != nil {
			return protocolErrorf("%s with the line %q: %v", kind, line, err)
		}
	}
	return nil
}
