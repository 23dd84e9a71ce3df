package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A client talks to one stickyd.
type client struct{ http *http.Client }

// answerLimit is how long a stickyd has to answer what needs no time.
var answerLimit = 10 * time.Second // tests have less of it

func newClient(path string) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &client{&http.Client{Transport: &http.Transport{
		DialContext: dial, ResponseHeaderTimeout: answerLimit, DisableKeepAlives: true,
	}}}
}

// do returns the body of the answer, which the caller closes.
func (c *client) do(ctx context.Context, method, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://stickyd"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	var refused *net.OpError
	var slow net.Error
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &refused) && refused.Op == "dial":
		return nil, fmt.Errorf("nobody answers on the control socket: %w", refused)
	case errors.As(err, &slow) && slow.Timeout():
		return nil, fmt.Errorf("stickyd has not answered within %v; is it stopped, or hung?", answerLimit)
	case err != nil:
		return nil, err
	case resp.StatusCode < 400:
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var said struct{ Error string }
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said) != nil || said.Error == "" {
		return nil, fmt.Errorf("%s %s: %s; is this stickyd older than the one that runs?", method, path, resp.Status)
	}
	return nil, errors.New(said.Error)
}

func (c *client) status(ctx context.Context) (s Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerLimit) // for its head, and for the rest
	defer cancel()
	body, err := c.do(ctx, "GET", "/v1/status")
	if err != nil {
		return s, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&s); err != nil {
		return s, fmt.Errorf("the answer is no status: %w", err)
	}
	return s, nil
}

var errNotWaited = errors.New("no longer waited for; it goes on")

// operate starts an operation, passes on its progress and waits for its end.
func (c *client) operate(ctx context.Context, path string, say func(string)) error {
	body, err := c.do(ctx, "POST", path)
	if ctx.Err() != nil {
		return errNotWaited
	}
	if err != nil {
		return err
	}
	defer body.Close()
	for lines, last := json.NewDecoder(body), ""; ; {
		var p Progress
		err := lines.Decode(&p)
		switch {
		case ctx.Err() != nil:
			return errNotWaited
		case err != nil:
			return fmt.Errorf("stickyd has not said how it ended: %w", err)
		case p.Error != "":
			return errors.New(p.Error)
		}
		if p.Message != last {
			say(p.Message)
			last = p.Message
		}
		if p.Done {
			io.Copy(io.Discard, body) // until the process has ended
			return nil
		}
	}
}
