package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// A client talks to one stickyd.
type client struct {
	path string // of the control socket
	http *http.Client
}

// answerLimit is how long a stickyd has to answer what needs no time.
var answerLimit = 10 * time.Second // tests have less of it

func newClient(path string) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &client{path, &http.Client{Transport: &http.Transport{
		DialContext: dial, ResponseHeaderTimeout: answerLimit, DisableKeepAlives: true,
	}}}
}

// do returns an answer that is no error. The caller closes its body.
func (c *client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://stickyd"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	var refused *net.OpError
	var slow net.Error
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if owner := ownerOf(c.path); owner != "" {
			return nil, othersError(c.path, owner)
		}
		return nil, fmt.Errorf("no answer on the control socket %s: %w", c.path, errors.Unwrap(err)) // without the URL
	case errors.As(err, &refused) && refused.Op == "dial":
		return nil, nobodyAt(c.path, refused.Err)
	case errors.As(err, &slow) && slow.Timeout():
		return nil, fmt.Errorf("stickyd has not answered within %v; is it stopped, or hung?", answerLimit)
	case err != nil:
		return nil, err
	case resp.StatusCode < 400:
		return resp, nil
	}
	defer resp.Body.Close()
	var said struct{ Error string }
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said) != nil || said.Error == "" {
		return nil, fmt.Errorf("%s %s: %s; is this stickyd older than the one that runs?", method, path, resp.Status)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s; is the stickyd that runs older than this one?", said.Error)
	}
	return nil, errors.New(said.Error)
}

var errNobody = errors.New("no stickyd answers on the control socket")

// nobodyAt says why connecting there has failed.
func nobodyAt(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no such file")
	case errors.Is(err, syscall.ECONNREFUSED):
		err = errors.New("its stickyd has ended without removing it; was it killed?")
	default:
		err = plainly(err)
	}
	return fmt.Errorf("%w %s: %w", errNobody, path, err)
}

// read asks for what is there at once, and decodes it.
func (c *client) read(ctx context.Context, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerLimit) // for its head, and for the rest
	defer cancel()
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	return nil
}

func (c *client) status(ctx context.Context) (s Status, err error) {
	err = c.read(ctx, "GET", "/v1/status", nil, &s)
	return s, err
}

func (c *client) explain(ctx context.Context, id []byte) (e Explanation, err error) {
	err = c.read(ctx, "POST", "/v1/explain", id, &e)
	return e, err
}

var errNotWaited = errors.New("stopped waiting; the operation goes on, and stickyd status shows it")

// operate starts an operation, passes on its progress and waits for its end.
func (c *client) operate(ctx context.Context, path string, what any, say func(string)) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, "POST", path, body)
	if ctx.Err() != nil {
		return errNotWaited
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for lines, last := json.NewDecoder(resp.Body), ""; ; {
		var p Progress
		err := lines.Decode(&p)
		switch {
		case ctx.Err() != nil:
			return errNotWaited
		case err != nil:
			return brokenOff(err)
		case p.Error != "":
			return errors.New(p.Error)
		}
		if p.Message != last && p.Message != "" {
			say(p.Message)
			last = p.Message
		}
		if p.Done {
			io.Copy(io.Discard, resp.Body) // until the process has ended, where it was to
			return nil
		}
	}
}

// brokenOff is what an operation comes to whose last line does not come.
func brokenOff(err error) error {
	why := ""
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		why = ": " + err.Error()
	}
	return fmt.Errorf("the connection broke before stickyd said how that ended%s; was it killed? If it runs, stickyd status and stickyd events tell", why)
}

// How long a stickyd may be away while another binary takes over, and how often
// it is looked for. Tests have less of it.
var (
	comeBack  = 10 * time.Second
	lookAgain = 100 * time.Millisecond
)

// errGone: it was there, and never said that it ends.
var errGone = errors.New("stickyd has ended without saying so; was it killed?")

// untilItIsBack calls f again while it fails, for a while.
func untilItIsBack(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, comeBack)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			if errors.Is(err, errNobody) {
				return errGone
			}
			return err
		}
	}
}

// history passes on lines of a history as they come, and what was lost of them.
// A stickyd that takes the place of the one that was asked is asked for the rest.
func (c *client) history(ctx context.Context, path string, h historyRequest, show func(json.RawMessage) error, lost func(uint64)) error {
	var resp *http.Response
	ask := func() (err error) {
		resp, err = c.do(ctx, "GET", path+"?"+h.query(), nil)
		return err
	}
	err := ask()
	for ; err == nil; err = untilItIsBack(ctx, ask) {
		h.of = resp.Header.Get(headerHistory)
		fmt.Sscan(resp.Header.Get(headerAfter), &h.after)
		end, err := h.pass(resp.Body, show, lost)
		resp.Body.Close()
		switch {
		case ctx.Err() != nil, end == EndStopped, !h.follow && errors.Is(err, io.EOF):
			return nil
		case !h.follow || errors.Is(err, errShow):
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // ^C
	}
	return err
}

// errShow: what was told could not be shown.
var errShow = errors.New("cannot show it")

// pass passes on the lines of one answer, and keeps the number of the last one,
// until the answer ends.
func (h *historyRequest) pass(body io.Reader, show func(json.RawMessage) error, lost func(uint64)) (end string, err error) {
	for lines := json.NewDecoder(body); ; {
		var line json.RawMessage
		var mark Mark
		if err := lines.Decode(&line); err != nil {
			return "", err
		}
		if err := json.Unmarshal(line, &mark); err != nil {
			return "", err
		}
		if mark.Seq > 0 {
			h.after = mark.Seq
		}
		switch {
		case mark.End != "":
			return mark.End, nil
		case mark.Lost > 0:
			lost(mark.Lost)
			continue
		}
		if err := show(line); err != nil {
			return "", fmt.Errorf("%w: %w", errShow, err)
		}
	}
}
