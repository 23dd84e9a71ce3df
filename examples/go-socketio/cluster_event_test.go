package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/zishang520/socket.io/parsers/socket/v3/parser"
	"github.com/zishang520/socket.io/servers/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

// Clients get the same from the worker that emits and from those it tells.
func TestEventSurvives(t *testing.T) {
	many := make([]any, 0, 40)
	for i := range 40 {
		many = append(many, []byte{byte(i)})
	}
	type tagged struct {
		Name string `json:"n"`
	}
	for name, data := range map[string]func() []any{ // anew each time: readers are used up
		"text":            func() []any { return []any{"said", "<b>ü\u2028</b>"} },
		"no arguments":    func() []any { return []any{"said"} },
		"numbers":         func() []any { return []any{"said", 1, -2.5, uint8(3), 1e300, true, nil} },
		"types":           func() []any { return []any{"said", tagged{"x"}, time.Unix(1, 5).UTC(), []string{"a"}} },
		"raw JSON":        func() []any { return []any{"said", json.RawMessage(`{"a":[1]}`)} },
		"binary":          func() []any { return []any{"said", []byte{0, 255}, map[string]any{"in": []any{[]byte{}}}} },
		"readers":         func() []any { return []any{"said", bytes.NewReader([]byte{1}), strings.NewReader("text")} },
		"buffers":         func() []any { return []any{"said", types.NewBytesBuffer([]byte{7}), types.NewStringBufferString("s")} },
		"many bytes":      func() []any { return []any{"said", bytes.Repeat([]byte{0, 1, 2, 3}, 100_000)} },
		"many buffers":    func() []any { return append([]any{"said"}, many...) },
		"as if it were a": func() []any { return []any{"said", map[string]any{"_placeholder": true, "num": 0}} },
	} {
		t.Run(name, func(t *testing.T) {
			want := encodeEvent(&parser.Packet{Type: parser.EVENT, Data: data()})
			packet, err := decodeEvent(want)
			if err != nil {
				t.Fatal(err)
			}
			if got := encodeEvent(packet); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("got %.200q, want %.200q", got, want)
			}
		})
	}
}

func TestEventsThatCannotBeSent(t *testing.T) {
	for name, data := range map[string][]any{
		"a function": {"said", func() {}},
		"a channel":  {"said", make(chan int)},
		"reserved":   {"disconnect"},
		"nothing":    {},
	} {
		if packet, err := decodeEvent(encodeEvent(&parser.Packet{Type: parser.EVENT, Data: data})); err == nil {
			t.Errorf("%s: got %v", name, packet)
		}
	}
	for _, parts := range [][][]byte{nil, {nil}, {[]byte("2")}, {[]byte("0{}")}, {[]byte(`52-["said"]`), {1}}} {
		if packet, err := decodeEvent(parts); err == nil {
			t.Errorf("%q: got %v", parts, packet)
		}
	}
}

func TestOrderSurvives(t *testing.T) {
	compress := false
	opts := &socket.BroadcastOptions{
		Rooms:  types.NewSet[socket.Room]("a", "b"),
		Except: types.NewSet[socket.Room]("c"),
		Flags:  &socket.BroadcastFlags{},
	}
	opts.Flags.Compress, opts.Flags.Volatile = &compress, true
	payload, err := msgpack.Marshal(&order{Do: broadcast, Opts: opts, Event: [][]byte{{1}, {}}, Rooms: []socket.Room{"d"}, Close: true})
	if err != nil {
		t.Fatal(err)
	}
	var o order
	if err := msgpack.Unmarshal(payload, &o); err != nil {
		t.Fatal(err)
	}
	if o.Do != broadcast || !o.Close || len(o.Event) != 2 || !slices.Equal(o.Rooms, []socket.Room{"d"}) {
		t.Errorf("got %+v", o)
	}
	if o.Opts.Rooms.Len() != 2 || !o.Opts.Rooms.Has("a") || !o.Opts.Except.Has("c") {
		t.Errorf("got rooms %v, except %v", o.Opts.Rooms.Keys(), o.Opts.Except.Keys())
	}
	if flags := o.Opts.Flags; !flags.Volatile || flags.Compress == nil || *flags.Compress || flags.Local {
		t.Errorf("got flags %+v", flags)
	}
}
