package logs

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Event is a record of stickyd's own log.
type Event struct {
	Time    time.Time  `json:"time"`
	Level   slog.Level `json:"level"`
	Message string     `json:"message"`
	Attrs   Attrs      `json:"attrs"`
}

// Attrs are attributes of a record. Their values are strings, lists of strings,
// numbers and booleans. In JSON they are an object, and keep their order.
type Attrs []slog.Attr

// MarshalJSON writes the object.
func (all Attrs) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, a := range all {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(a.Key)
		value, err2 := json.Marshal(a.Value.Any())
		if err = errors.Join(err, err2); err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (all *Attrs) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errors.New("attributes are no object"))
	}
	*all = nil
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err = errors.Join(err, d.Decode(&value)); err != nil {
			return err
		}
		*all = append(*all, slog.Attr{Key: fmt.Sprint(key), Value: fromJSON(value)})
	}
	return nil
}

// fromJSON gives a value the type that it had, but for floats without a
// fraction, which look the same.
func fromJSON(text json.RawMessage) slog.Value {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return slog.StringValue(s)
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return slog.Int64Value(n)
	}
	if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
		return slog.Uint64Value(n)
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil {
		return slog.Float64Value(f)
	}
	if b, err := strconv.ParseBool(string(text)); err == nil {
		return slog.BoolValue(b)
	}
	var list []string
	if json.Unmarshal(text, &list) == nil {
		return slog.AnyValue(list)
	}
	return slog.StringValue(string(text))
}

// What is kept of events.
const (
	keptEvents     = 1000
	keptEventBytes = 1 << 20
	eventOverhead  = 96 // bytes that an event costs besides its texts, and one of its attributes
)

func newEventRing() *Ring[Event] {
	return newRing(keptEvents, keptEventBytes, func(e *Event) int {
		n := eventOverhead + len(e.Message)
		for _, a := range e.Attrs {
			n += eventOverhead + len(a.Key)
			switch v := a.Value.Any().(type) {
			case string:
				n += len(v)
			case []string:
				n += len(strings.Join(v, ""))
			}
		}
		return n
	})
}

// plus appends an attribute, a group as its members.
func (all Attrs) plus(groups string, a slog.Attr) Attrs {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			groups += a.Key + "."
		}
		for _, member := range v.Group() {
			all = all.plus(groups, member)
		}
		return all
	case a.Equal(slog.Attr{}):
		return all // as every handler does
	}
	return append(all, slog.Attr{Key: groups + a.Key, Value: plain(v)})
}

// plain makes a string, as text logs have it, of what Attrs don't have: of a
// duration "3ms", and not JSON's number of nanoseconds, which nobody who reads it
// can know. It keeps nothing that v points to.
func plain(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindString:
		return v
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) { // which JSON has not
			return v
		}
	case slog.KindTime:
		return slog.StringValue(v.Time().Format("2006-01-02T15:04:05.000Z07:00"))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case encoding.TextMarshaler:
			if text, err := x.MarshalText(); err == nil {
				return slog.StringValue(string(text))
			}
		case []byte:
			return slog.StringValue(string(x))
		}
		if list := reflect.ValueOf(v.Any()); list.IsValid() && list.CanConvert(reflect.TypeFor[[]string]()) {
			return slog.AnyValue(slices.Clone(list.Convert(reflect.TypeFor[[]string]()).Interface().([]string)))
		}
		return slog.StringValue(fmt.Sprintf("%+v", v.Any()))
	}
	return slog.StringValue(v.String())
}
