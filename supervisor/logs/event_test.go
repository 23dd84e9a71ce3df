package logs

import (
	"encoding"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// An event looks as its line in the text log, also after it was JSON.
func TestEventsAreAsTheTextLog(t *testing.T) {
	var events []Event
	_, text := written(t, "text", true, func(l *Logs) {
		l.Info("plain")
		l.Warn("with \"everything\"", "n", 3, "neg", int64(-4), "big", uint64(math.MaxUint64), "f", 1.5, "nan", math.NaN(), "yes", true,
			"after", 1500*time.Millisecond, "at", time.Unix(1, 0).UTC(), "err", errors.New("no luck"), "list", []int{1, 2},
			"bytes", []byte("b c"), "empty", "", slog.Attr{}, slog.Group("g", "x", 1, slog.Group("h", "y", "z")))
		l.With("slot", 1).WithGroup("sub").With("a", 2).Error("derived", "b", slog.AnyValue(os.ErrNotExist))
		l.Debug("not at this level")
		text, err := json.Marshal(l.Events().State())
		if err != nil {
			t.Fatal(err)
		}
		var s RingState[Event]
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		r := newEventRing()
		r.Restore(s)
		events, _ = r.From(0, 100)
	})
	var b []byte
	for i := range events {
		b = events[i].AppendLine(b)
	}
	if string(b) != text || len(events) != 3 {
		t.Errorf("%d events:\n%s\nbut the log has\n%s", len(events), b, text)
	}
}

func TestAttributesKeepTheirTypes(t *testing.T) {
	all := Attrs{slog.String("s", "1"), slog.Int("i", 1), slog.Uint64("u", math.MaxUint64), slog.Float64("f", 1.5), slog.Bool("b", true), slog.String("k\"", "\n")}
	text, err := json.Marshal(all)
	if want := `{"s":"1","i":1,"u":18446744073709551615,"f":1.5,"b":true,"k\"":"\n"}`; err != nil || string(text) != want {
		t.Errorf("%v: %s", err, text)
	}
	var got Attrs
	if err := json.Unmarshal(text, &got); err != nil || len(got) != len(all) {
		t.Fatal(err, got)
	}
	for i := range all {
		if !got[i].Equal(all[i]) {
			t.Errorf("%v became %v", all[i], got[i])
		}
	}
	for _, bad := range []string{`[]`, `"x"`, `1`} {
		if json.Unmarshal([]byte(bad), &got) == nil {
			t.Errorf("%s is no object", bad)
		}
	}
	if text, _ := json.Marshal(Event{}); !strings.Contains(string(text), `"attrs":{}`) {
		t.Errorf("none: %s", text)
	}
}

func TestEventsAreKeptWhateverTheLevel(t *testing.T) {
	var l *Logs
	_, text := written(t, "text", true, func(logs *Logs) {
		l = logs
		l.SetLevel("error")
		l.Info("one")
		l.Debug("two")
		l.SetLevel("debug")
		l.Debug("three")
	})
	if !strings.HasSuffix(text, "level=DEBUG msg=three\n") || strings.Count(text, "\n") != 1 {
		t.Errorf("the log is %q", text)
	}
	if events, _ := l.Events().From(0, 10); len(events) != 1 || events[0].Message != "one" {
		t.Errorf("events %v", events)
	}
}

func TestLinesAreKept(t *testing.T) {
	var l *Logs
	written(t, "json", true, func(logs *Logs) {
		l = logs
		l.Line(3, 7, Stderr, []byte("a line"))
	})
	text, err := json.Marshal(l.Lines().State())
	if err != nil {
		t.Fatal(err)
	}
	var s RingState[Line]
	if err := json.Unmarshal(text, &s); err != nil || len(s.Items) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	got := s.Items[0]
	if got.Time.IsZero() || got.Slot != 3 || got.PID != 7 || got.Stream != Stderr || got.Text != "a line" {
		t.Errorf("%+v", got)
	}
	if err := json.Unmarshal([]byte(`{"stream":"stdlog"}`), &got); err == nil {
		t.Error("a stream that is none was read")
	}
}

// That interface would make a string of them in JSON (encoding/json/v2), also in
// what is handed over in an upgrade.
func TestWhatIsKeptIsNoTextInJSON(t *testing.T) {
	for _, kept := range []any{new(Line), new(Event)} {
		if _, text := kept.(encoding.TextAppender); text {
			t.Errorf("%T is text", kept)
		}
	}
}
