package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The commands that change something.

// operate says how an operation goes and waits for its end.
func (c *call) operate(ctx context.Context, verb string, what any) error {
	return c.client.operate(ctx, "/v1/"+verb, what, func(line string) { fmt.Fprintln(c.out, line) })
}

// change is operate for what can be cancelled, and says so to a user who interrupts
// it.
func (c *call) change(ctx context.Context, verb string, what any) error {
	err := c.operate(ctx, verb, what)
	if errors.Is(err, errNotWaited) {
		return fmt.Errorf("%w; stickyd cancel%s ends it", err, c.where())
	}
	return err
}

// where is what another command has to say to mean the same stickyd.
func (c *call) where() string {
	if c.control == "" {
		return ""
	}
	return " --control " + c.control
}

// number reads a number from least on.
func number(text string, least int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		return 0, fmt.Errorf("%q is not a number of %d or more", text, least)
	}
	return n, nil
}

func restartFlags(flags *flag.FlagSet, c *call) {
	count := func(name, help string, into *int) {
		flags.Func(name, help, func(text string) (err error) {
			*into, err = number(text, 1)
			return err
		})
	}
	count("parallel", "restart at most `N` slots at a time, instead of as\nconfigured", &c.restart.Parallel)
	count("max-unready", "go on though `N` of the new workers have crashed,\ninstead of as configured", &c.restart.MaxUnready)
}

// takeSlots: all, as other process managers have it, is the same as none.
func takeSlots(c *call, given []string) error {
	if len(given) == 1 && given[0] == "all" {
		return nil
	}
	for _, text := range given {
		slot, err := slotNumber(text)
		if err != nil {
			return err
		}
		c.restart.Slots = append(c.restart.Slots, slot)
	}
	return c.restart.check()
}

func slotNumber(text string) (int, error) {
	slot, err := number(text, 1)
	if err != nil {
		return 0, fmt.Errorf("%q is not a worker number; stickyd status lists them", text)
	}
	return slot, nil
}

func restart(ctx context.Context, c *call) error { return c.change(ctx, "restart", c.restart) }

func takeScale(c *call, given []string) error {
	if len(given) != 1 {
		return errors.New("scale takes a number of workers: 4, +1 or -1")
	}
	n, err := strconv.Atoi(given[0]) // takes a sign
	if err != nil {
		return fmt.Errorf("%q is not a number of workers, such as 4, +1 or -1", given[0])
	}
	c.scale = Scale{Relative: strings.ContainsAny(given[0], "+-"), N: n}
	return c.scale.check()
}

func scale(ctx context.Context, c *call) error { return c.change(ctx, "scale", c.scale) }

func takeSlot(c *call, given []string) (err error) {
	if len(given) != 1 {
		return errors.New("drain takes the number of one worker; stickyd status lists them")
	}
	c.slot, err = slotNumber(given[0])
	return err
}

func takeSlotOrNone(c *call, given []string) (err error) {
	switch len(given) {
	case 0:
	case 1:
		c.history.slot, err = slotNumber(given[0])
	default:
		err = errors.New("logs takes the number of one worker; stickyd status lists them")
	}
	return err
}

func drain(ctx context.Context, c *call) error {
	return c.operate(ctx, "drain", drainRequest{Slot: c.slot})
}

func reload(ctx context.Context, c *call) error { return c.change(ctx, "reload", nothing{}) }

// takeBinary makes the path absolute: stickyd runs elsewhere.
func takeBinary(c *call, given []string) (err error) {
	if len(given) > 1 {
		return errors.New("upgrade takes one binary")
	}
	if len(given) == 1 && given[0] != "" {
		c.binary, err = filepath.Abs(given[0])
	}
	return err
}

func upgrade(ctx context.Context, c *call) error {
	return c.change(ctx, "upgrade", upgradeRequest{Binary: c.binary})
}

func cancel(ctx context.Context, c *call) error { return c.operate(ctx, "cancel", nothing{}) }

func stop(ctx context.Context, c *call) error { return c.operate(ctx, "stop", nothing{}) }
