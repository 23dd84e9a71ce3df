package front

import (
	"context"
	"slices"
	"time"
)

// Change opens the listeners that are missing, and closes those that are not
// among addrs, for whose clients it has patience until ctx is done. Those that
// somebody else opened stay. One that only is written in another way now stays,
// too; another host's at the same port comes in the place of the old one without
// a moment in which nobody listens. Where one is to be opened that an earlier
// Change took away, it waits until that is closed. After an error nothing has
// changed.
func (d *Doors) Change(ctx context.Context, addrs []string) error {
	err := d.ChangeQuietly(ctx, addrs)
	for _, ln := range *d.open.Load() {
		d.announce(ln, false)
	}
	return err
}

// ChangeQuietly is Change that logs nothing of listeners that are opened: Announce
// may, once it is known that they stay.
func (d *Doors) ChangeQuietly(ctx context.Context, addrs []string) error {
	open := *d.open.Load()
	stay := make(map[*Listener]string) // as they are written now
	var missing []string
	for _, addr := range addrs {
		i := slices.IndexFunc(open, func(ln *Listener) bool {
			_, taken := stay[ln]
			return !taken && ln.stands(addr)
		})
		if i < 0 {
			missing = append(missing, addr)
			continue
		}
		stay[open[i]] = addr
	}
	var surplus, keep []*Listener
	for _, ln := range open {
		if _, stays := stay[ln]; stays || ln.written == "" {
			keep = append(keep, ln)
		} else {
			surplus = append(surplus, ln)
		}
	}
	opened, err := d.listen(missing, surplus)
	if err != nil {
		return err
	}
	for ln, addr := range stay {
		ln.written = addr
	}
	d.have(keep, opened)
	for _, ln := range surplus {
		if ln.announced {
			d.log.Info("listening no longer", "addr", ln.Addr().String())
		}
		covered := slices.ContainsFunc(*d.open.Load(), func(heir *Listener) bool { return heir.covers(ln) })
		d.leave(ctx, ln, covered)
	}
	return nil
}

// leave closes a listener when its clients have had their time. One that is
// covered has an heir to whom its clients come then.
func (d *Doors) leave(ctx context.Context, ln *Listener, covered bool) {
	left := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaving[ln] = left
	go func() {
		if covered && d.letCome(ctx, ln) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.Background(), handshakeTime)
			defer cancel()
		}
		d.front.Close(ctx, ln)
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.leaving, ln)
		close(left)
	}()
}

// handshakeTime is how long clients are turned away whom another listener gets
// then: as long as a handshake takes that is under way, and less than the second
// after which who was turned away tries again (RFC 6298).
const handshakeTime = 500 * time.Millisecond

// letCome lets clients come until ctx is done, when there should be none left that
// has said nothing yet. It reports false if the end of all came before.
func (d *Doors) letCome(ctx context.Context, ln *Listener) bool {
	ln.deferAccept(false)
	select {
	case <-ctx.Done():
		return true
	case <-d.ended:
		return false
	}
}

// await returns when none is left of those that Change took away and that are
// meant. (A WaitGroup panics if leave is called just as its Wait ends.)
func (d *Doors) await(meant func(*Listener) bool) {
	for left := d.oneLeaving(meant); left != nil; left = d.oneLeaving(meant) {
		<-left
	}
}

func (d *Doors) oneLeaving(meant func(*Listener) bool) (left <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ln, left := range d.leaving {
		if meant(ln) {
			return left
		}
	}
	return nil
}
