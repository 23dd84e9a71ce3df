package instance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/supervisor/config"
)

// closePatience is how long clients have to send their first request to a
// listener that a reload takes away: the kernel has that long kept them to itself.
const closePatience = 5 * time.Second

func (a *app) changeListeners(old, now *config.Config) error {
	a.opening.Lock()
	defer a.opening.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	context.AfterFunc(ctx, cancel)
	if err := a.endpoints.ChangeMetrics(now.Metrics); err != nil {
		cancel()
		return err
	}
	if !slices.Equal(old.Listen, now.Listen) || old.ListenByDefault != now.ListenByDefault {
		addrs := a.addressesOf(now)
		if err := a.doors.Change(ctx, addrs); err != nil {
			cancel()
			return errors.Join(err, a.endpoints.ChangeMetrics(old.Metrics))
		}
		a.places.follows.Store(now.ListenByDefault)
		a.defaultOpen = now.ListenByDefault && slices.Equal(addrs, now.Listen)
		a.places.note(addrs...)
		a.endpoints.Follow(a.firstAddr())
	}
	return nil
}

func (a *app) setFront(c front.Config) {
	a.opening.Lock()
	defer a.opening.Unlock()
	a.doors.SetConfig(c)
}

// addressesOf returns where clients are to connect.
func (a *app) addressesOf(c *config.Config) []string {
	if claimed := a.places.claimed(); c.ListenByDefault && len(claimed) > 0 {
		return claimed
	}
	return c.Listen
}
