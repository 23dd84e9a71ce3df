package logs

import (
	"context"
	"log/slog"
)

// A handler makes an Event of each record of stickyd's own log.
type handler struct {
	logs   *Logs
	attrs  Attrs  // of WithAttrs
	groups string // of WithGroup, "a.b."
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(keptLevel, h.logs.level.Level())
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	attrs := h.attrs[:len(h.attrs):len(h.attrs)]
	r.Attrs(func(a slog.Attr) bool {
		attrs = attrs.plus(h.groups, a)
		return true
	})
	h.logs.event(Event{Time: r.Time.Round(0), Level: r.Level, Message: r.Message, Attrs: attrs})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		with.attrs = with.attrs.plus(h.groups, a)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.groups += name + "."
	return &with
}
