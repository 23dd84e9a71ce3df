package upgrade

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// inherited is what this process was started with, nil for a normal start. It
// is found before main begins, so that no child of ours gets anything of it.
var inherited = take()

func take() *Takeover {
	o := takeOrder()
	if o == nil {
		return nil
	}
	t := &Takeover{order: *o, fds: closeOnExec(), file: os.NewFile(uintptr(o.State), "state")}
	t.fds = slices.DeleteFunc(t.fds, func(fd int) bool { return fd == o.State || fd == o.Old })
	if o.Returned != "" {
		restoreName(o.Name)
	}
	if !o.Check {
		early.listen(o.Signals, heldSignals(o.Spared)...)
	}
	return t
}

// A Takeover is a start in place of another program. Its methods are for one
// goroutine.
type Takeover struct {
	*State       // nil if it can't be used
	order  order // less what has been done of it
	fds    []int // what was handed over
	file   *os.File
	closed bool
}

// Inherited returns how this process was started: nil, nil for a normal start.
// With an error the state can't be used, and the Takeover is good for
// [Takeover.Return] only.
func Inherited() (*Takeover, error) {
	t := inherited
	if t == nil || t.State != nil {
		return t, nil
	}
	var err error
	t.State, err = Read(t.file)
	return t, err
}

// Checking reports whether this process is only to find out if it could make
// use of the state, and to say so with Passed. Descriptors that the state tells
// of are not here, and others may have their numbers.
func (t *Takeover) Checking() bool { return t.order.Check }

// Returned is why the program that was to replace this one gave up; "" if
// this is the new one.
func (t *Takeover) Returned() string { return t.order.Returned }

// passed is what Check waits for: a program that is no stickyd may well end
// with status 0.
const passed = "upgrade check passed"

// Passed tells the program that is checking that this one could take over. The
// caller exits with status 0 after it.
func (t *Takeover) Passed() error {
	_, err := fmt.Println(passed)
	return err
}

// Return makes this process the old program again, because of cause, with the
// same state, descriptors and environment. It returns only if that is not
// possible, with cause and why.
//
// It may be called until [Takeover.Close], and for as long as the old program
// finds all as it left it: nothing that was handed over has been closed, or read,
// written or accepted from; no child that it started has been reaped; and [Notify]
// was not called, since what that has delivered would be lost. No harm is
// in reading the state, in opening what is this program's own, and in wrapping
// descriptors for later use. But the wrappers must stay reachable: an os.File
// that is garbage closes its descriptor.
func (t *Takeover) Return(cause error) error {
	err := errors.New("it had already returned from another program")
	switch {
	case t.order.Check:
		return cause // the old program runs
	case t.closed:
		err = errors.New("it was let go")
	case t.order.Old != 0:
		err = t.giveBack(cause)
	}
	return fmt.Errorf("%w; the old program can't carry on either: %w", cause, err)
}

// Close closes the state and lets the old program go. After it there is no way
// back.
func (t *Takeover) Close() error {
	t.closed = true
	t.dropOld()
	t.State = nil
	return t.file.Close()
}
