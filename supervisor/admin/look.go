package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/supervisor/terminal"
)

// The commands that look.

func jsonFlag(flags *flag.FlagSet, c *call) {
	flags.BoolVar(&c.json, "json", false, "print it as JSON, for programs")
}

func statusFlags(flags *flag.FlagSet, c *call) {
	jsonFlag(flags, c)
	flags.BoolVar(&c.ready, "ready", false, "print only how many are ready, and fail if none is")
	flags.BoolVar(&c.watch, "watch", false, "print it again each second, until ^C")
}

func takeStatus(c *call, _ []string) error {
	if c.ready && (c.json || c.watch) {
		return errors.New("--ready prints one line, and goes with neither --json nor --watch")
	}
	return nil
}

// watchPause is the time between two looks.
var watchPause = time.Second // tests have less of it

const clearAll = "\x1b[H\x1b[J" // ECMA-48: CUP, ED

func status(ctx context.Context, c *call) error {
	if c.ready {
		return c.checkReady(ctx)
	}
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	s, err := c.client.status(ctx)
	for first := true; err == nil; first = false {
		if err := c.show(&s, first); err != nil || !c.watch {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		told := false
		err = untilItIsBack(ctx, func() (err error) {
			if s, err = c.client.status(ctx); err != nil && ctx.Err() == nil && !told {
				told = true // or what was shown last would be taken for what is
				fmt.Fprintf(c.errs, "stickyd: stickyd does not answer; waiting for it: %v\n", err)
			}
			return err
		})
	}
	if c.watch && ctx.Err() != nil {
		return nil // ^C
	}
	return err
}

// checkReady fails unless a worker takes new sessions.
func (c *call) checkReady(ctx context.Context) error {
	s, err := c.client.status(ctx)
	if err != nil {
		return err
	}
	line, err := s.readiness()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, line)
	return err
}

// readiness says how many workers take new sessions. The error says why there is
// nobody to send clients to.
func (s *Status) readiness() (line string, err error) {
	ready := 0
	for i := range s.Workers {
		if s.Workers[i].State == "ready" {
			ready++
		}
	}
	switch {
	case s.Stopping:
		return "", errors.New("stickyd is stopping")
	case ready == 0:
		return "", fmt.Errorf("no worker is ready, of %d", len(s.Workers))
	}
	return count(ready, "worker") + " ready", nil
}

// show prints a status: over the one before where somebody watches it in a
// terminal, in one piece, so that it does not flicker.
func (c *call) show(s *Status, first bool) error {
	var page bytes.Buffer
	redraws := c.screen != nil && c.watch
	if !first && !c.json && !redraws {
		page.WriteString("\n")
	}
	if c.json {
		json.NewEncoder(&page).Encode(s)
	} else {
		page.WriteString(c.page(s, time.Now()))
	}
	if redraws {
		_, err := c.screen.Write(terminal.AppendVisible([]byte(clearAll), page.Bytes(), terminal.Colour(c.screen)))
		return err
	}
	_, err := c.out.Write(page.Bytes())
	return err
}

// page is a status as it is printed: where somebody watches it in a terminal no
// more of it than fits there; otherwise all of it, and what has scrolled out of
// sight again: the head.
func (c *call) page(s *Status, now time.Time) string {
	if c.screen == nil {
		return s.text(now, terminal.UsualWidth, 0)
	}
	s = s.visible() // first: what is escaped is longer
	width, height, known := terminal.Size(c.screen)
	switch {
	case !known:
		return s.text(now, terminal.UsualWidth, 0)
	case c.watch:
		return s.text(now, width, max(1, height-1)) // but for the cursor's line
	}
	text := s.text(now, width, 0)
	if rows(strings.Split(text, "\n"), width) > height { // the last one is empty: the prompt's
		text += strings.Join(s.head(now, width), "\n") + "\n"
	}
	return text
}

func historyFlags(flags *flag.FlagSet, c *call, what string) {
	define("follow", func(name string) {
		flags.BoolVar(&c.history.follow, name, false, "print also those that come, until ^C")
	})
	c.history.n = defaultLast
	define("lines", func(name string) {
		flags.Func(name, fmt.Sprintf("print the last `N` %s (default %d)", what, defaultLast), func(text string) (err error) {
			c.history.n, err = number(text, 0)
			return err
		})
	})
	flags.BoolVar(&c.json, "json", false, "print one JSON object a line, for programs")
}

func logsFlags(flags *flag.FlagSet, c *call) {
	historyFlags(flags, c, "lines")
	define("time", func(name string) { flags.BoolVar(&c.time, name, false, "print also when each was printed") })
}

func eventsFlags(flags *flag.FlagSet, c *call) { historyFlags(flags, c, "events") }

func showLogs(ctx context.Context, c *call) error {
	return c.client.history(ctx, "/v1/logs", c.history, func(line json.RawMessage) error {
		var l LogLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if c.json {
			return c.print(l.AppendJSON(nil))
		}
		var at []byte
		if c.time {
			at = l.Time.Local().AppendFormat(nil, timeOfLine)
		}
		return c.print(l.AppendLine(at))
	}, c.lost("line"))
}

// timeOfLine is as stickyd's own log has it in a file, with a blank behind.
const timeOfLine = "2006-01-02T15:04:05.000Z07:00 "

func showEvents(ctx context.Context, c *call) error {
	return c.client.history(ctx, "/v1/events", c.history, func(line json.RawMessage) error {
		var e LogEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		switch {
		case c.json:
			return c.print(e.AppendJSON(nil))
		case c.screen != nil:
			return c.print(e.AppendShort(nil, logs.ScreenOf(c.screen), time.Now()))
		}
		return c.print(e.AppendLine(nil))
	}, c.lost("event"))
}

func (c *call) print(text []byte) error {
	_, err := c.out.Write(text)
	return err
}

// lost says where something is missing.
func (c *call) lost(what string) func(n uint64) {
	return func(n uint64) {
		fmt.Fprintf(c.errs, "stickyd: %s dropped here, not read in time\n", count(int(n), what))
	}
}

// idBytes is more than any session's id has.
const idBytes = 4096

func takeID(c *call, given []string) error {
	if len(given) != 1 {
		return errors.New("explain takes the id of a session, or - for standard input")
	}
	if given[0] == "" {
		return errors.New("the session id is empty; is a shell variable not set?")
	}
	c.id = given[0]
	return nil
}

func explain(ctx context.Context, c *call) error {
	id := []byte(c.id)
	if c.id == "-" {
		text, err := io.ReadAll(io.LimitReader(c.in, idBytes))
		if err != nil {
			return fmt.Errorf("cannot read the session's id: %w", err)
		}
		id = bytes.TrimRight(text, "\r\n")
	}
	e, err := c.client.explain(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return json.NewEncoder(c.out).Encode(e)
	}
	_, err = fmt.Fprintf(c.out, "session %s: %s\n", hint(id), e.text(time.Now()))
	return err
}

// hint is what may be shown of a session's id, which is a credential.
func hint(id []byte) string {
	shown := strconv.Quote(string(id[:min(4, len(id)/4)])) // it may be anything
	return shown[1:len(shown)-1] + "…"
}

func (e *Explanation) text(now time.Time) string {
	worker := fmt.Sprintf("the worker of slot %d", e.Slot)
	if e.PID > 0 { // else it has died just now
		worker += fmt.Sprintf(", pid %d", e.PID)
	}
	if e.Generation > 0 {
		worker += fmt.Sprintf(", generation %d", e.Generation)
	}
	switch e.State {
	case Owned:
		return worker + ", has it; it is up " + since(e.WorkerSince, now)
	case Dead:
		return worker + ", had it, and died " + since(e.DiedAt, now) + " ago; another worker tells the client that it is unknown"
	case Unknown:
		return "no worker has registered it, or it has ended; any worker gets its requests"
	}
	return e.State
}
