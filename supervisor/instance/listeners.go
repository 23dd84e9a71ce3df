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
	if !slices.Equal(old.Listen, now.Listen) {
		if err := a.doors.Change(ctx, now.Listen); err != nil {
			cancel()
			return errors.Join(err, a.endpoints.ChangeMetrics(old.Metrics))
		}
		a.endpoints.Follow(a.doors.Addrs()[0])
	}
	return nil
}

func (a *app) setFront(c front.Config) {
	a.opening.Lock()
	defer a.opening.Unlock()
	a.doors.SetConfig(c)
}
