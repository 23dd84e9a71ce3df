package nodeipc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// What Node 20 writes, and what is read of it.
var written = []struct {
	name, hex string
	want      object
}{
	{"strings", "0000001cff0f6f22047479706522016122046461746122067369643132337b02",
		object{{"type", "a"}, {"data", "sid123"}}},
	{"UTF-16", "0000002aff0f6f2204747970652211737469636b793a636f6e6e656374696f6e22046461746163043604e9007b02",
		object{{"type", "sticky:connection"}, {"data", "жé"}}},
	{"UTF-16 behind padding", "00000014ff0f6f2201742201e92202646400630236047b02",
		object{{"t", "é"}, {"dd", "ж"}}},
	{"online", "0000002cff0f6f2203636d64220c4e4f44455f434c5553544552220361637422066f6e6c696e65220373657149007b03",
		object{{"cmd", "NODE_CLUSTER"}, {"act", "online"}, {"seq", 0.0}}},
	{"scalars", "0000003fff0f6f2204646174615c000a0361626322017849052201794e000000000000044022017a4e0000000000007042220174542201664622016e302201755f7b08",
		object{{"data", []byte("abc")}, {"x", -3.0}, {"y", 2.5}, {"z", 1099511627776.0}, {"t", true}, {"f", false}, {"n", nil}, {"u", nil}}},
	{"what is passed over", "000000f9ff0f6f220164440000000000000000220172522201780122016d3b49022201613a02220173272201712c0122036269675a20d20a3f4eeee073c3f60fe98e0100000022036e65675a110500000000000000220261624203000000220275385c000102010222036933325c00050407000000220165726d2204626f6f6d73220273742e2205686f6c657361034900490249044906400203220673706172736561e90749d00f49024001e90722046261636b41026f22016149027b015e0c2400022202626f410579786e0000000000001440732201787a1007000000000000002400052205636175736522016122046c6173742204686572657b10",
		object{{"d", opaque{}}, {"r", opaque{}}, {"m", opaque{}}, {"s", opaque{}}, {"big", opaque{}}, {"neg", opaque{}}, {"ab", opaque{}},
			{"u8", []byte{1, 2}}, {"i32", []byte{7, 0, 0, 0}}, {"e", opaque{}}, {"holes", opaque{}}, {"sparse", opaque{}},
			{"back", []any{opaque{}, opaque{}}}, {"bo", []any{opaque{}, opaque{}, opaque{}, opaque{}, opaque{}}}, {"cause", "a"}, {"last", "here"}}},
	{"nested", "0000005bff0f6f490e2205736576656e2201616f2201626f2201632204646565707b0122016422046b65707422016541022201786f22017949027b012400027b032203696473410222036f6e65220374776f24000222046c61737449027b04",
		object{{"7", "seven"}, {"a", object{{"b", opaque{}}, {"d", "kept"}, {"e", opaque{}}}}, {"ids", []any{"one", "two"}}, {"last", 1.0}}},
}

func TestV8ReadsWhatNodeWrites(t *testing.T) {
	for _, tt := range written {
		t.Run(tt.name, func(t *testing.T) {
			frame, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			for n := range frame {
				if size, err := (v8Codec{}).frame(frame[:n], 0); size != 0 || err != nil {
					t.Fatalf("of %d bytes, %d are a frame of %d: %v", len(frame), n, size, err)
				}
			}
			if size, err := (v8Codec{}).frame(append(frame[:len(frame):len(frame)], 0), 0); size != len(frame) || err != nil {
				t.Fatalf("a frame of %d, want %d: %v", size, len(frame), err)
			}
			got, err := v8Codec{}.decode(frame)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("read %#v, %v\nwant %#v", got, err, tt.want)
			}
			for n := v8HeaderSize; n < len(frame); n++ {
				if _, err := (v8Codec{}).decode(frame[:n]); err == nil {
					t.Errorf("%d of %d bytes were read as a whole", n, len(frame))
				}
			}
		})
	}
}

func TestV8WritesWhatNodeWrites(t *testing.T) {
	for _, tt := range written[:4] {
		want, _ := hex.DecodeString(tt.hex)
		value := tt.want
		if n, ok := value.number("seq"); ok { // an int is written as one
			value = append(value[:2:2], member{"seq", n})
		}
		if got := (v8Codec{}).encode(value); !bytes.Equal(got, want) {
			t.Errorf("%s: wrote %x, want %x", tt.name, got, want)
		}
	}
}

func TestV8Refuses(t *testing.T) {
	deep := strings.Repeat("o\"\x01a", 100_000)
	for _, text := range []string{"", "\xff", "{}\n", "\xff\x0f", "\xff\x0fI\x02", "\xff\x0f?", "\xff\x0f\\\x07", "\xff\x0f" + deep,
		"\xff\x0fA\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if o, err := (v8Codec{}).decode([]byte("\x00\x00\x00\x00" + text)); err == nil {
			t.Errorf("read %.20q as %v", text, o)
		}
	}
	if _, err := (v8Codec{}).frame([]byte("\xff\xff\xff\xff"), 0); err == nil {
		t.Error("a frame of 4 GiB")
	}
}

func TestCodecsReadWhatTheyWrite(t *testing.T) {
	value := object{{"s", "a \"quoted\" \n <line>"}, {"é", "ж𝄞"}, {"n", -7}, {"big", 1 << 40}, {"f", 1.5}, {"t", true}, {"no", false}, {"null", nil},
		{"in", object{{"x", "y"}}}, {"list", []any{"a", 1}}}
	want := "map[big:1.099511627776e+12 f:1.5 in:map[x:y] list:[a 1] n:-7 no:false null:<nil> s:a \"quoted\" \n <line> t:true é:ж𝄞]"
	for name, c := range map[string]codec{"json": jsonCodec{}, "advanced": v8Codec{}} {
		frame := c.encode(value)
		if size, err := c.frame(frame, 0); size != len(frame) || err != nil {
			t.Errorf("%s: a frame of %d, want %d: %v", name, size, len(frame), err)
		}
		got, err := c.decode(frame)
		if text := fmt.Sprint(plain(got)); err != nil || text != want {
			t.Errorf("%s: read %s, %v\nwant %s", name, text, err, want)
		}
	}
}

// plain returns maps for objects, whose order JSON does not keep here.
func plain(value any) any {
	o, ok := value.(object)
	if !ok {
		return value
	}
	m := make(map[string]any)
	for _, member := range o {
		m[member.key] = plain(member.value)
	}
	return m
}

func TestJSONFramesAreLines(t *testing.T) {
	c := jsonCodec{}
	line := []byte(`{"a":1}` + "\n" + `{"b"`)
	if size, err := c.frame(line, 3); size != 8 || err != nil {
		t.Errorf("a frame of %d: %v", size, err)
	}
	if size, err := c.frame(line[8:], 0); size != 0 || err != nil {
		t.Errorf("half a line is a frame of %d: %v", size, err)
	}
	if _, err := c.frame(make([]byte, maxMessage+1), maxMessage); err == nil {
		t.Error("a line without end")
	}
	for _, text := range []string{"\n", "[1]\n", "nonsense\n", `{"a":` + "\n"} {
		if o, err := c.decode([]byte(text)); err == nil {
			t.Errorf("read %q as %v", text, o)
		}
	}
	if got := string(c.encode(object{{"data", []byte{1, 255}}})); got != `{"data":{"type":"Buffer","data":[1,255]}}`+"\n" {
		t.Errorf("a Buffer is %s", got)
	}
}

// For any bytes a codec answers without a panic, and keeps no more than it may.
func FuzzDecode(f *testing.F) {
	for _, tt := range written {
		frame, _ := hex.DecodeString(tt.hex)
		f.Add(frame)
	}
	f.Add([]byte(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"type":"a","data":{"b":[1,{}]}}}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []codec{jsonCodec{}, v8Codec{}} {
			size, err := c.frame(b, 0)
			if size > len(b) || size > 0 && err != nil {
				t.Fatalf("%T: a frame of %d in %d bytes, %v", c, size, len(b), err)
			}
			if o, err := c.decode(b); err == nil {
				checkPruned(t, o, 1)
				c.encode(o)
			}
		}
	})
}

func checkPruned(t *testing.T, value any, depth int) {
	switch v := value.(type) {
	case object:
		if depth > keptDepth || len(v) > keptMembers {
			t.Fatalf("%d members, %d deep", len(v), depth)
		}
		for _, m := range v {
			checkPruned(t, m.value, depth+1)
		}
	case []any:
		if depth > keptDepth || len(v) > keptMembers {
			t.Fatalf("%d elements, %d deep", len(v), depth)
		}
		for _, element := range v {
			checkPruned(t, element, depth+1)
		}
	case []byte:
		if len(v) > keptBytes {
			t.Fatalf("%d bytes", len(v))
		}
	}
}

// What one codec writes it reads, and the text of strings survives.
func FuzzText(f *testing.F) {
	f.Add("key", "жé")
	f.Fuzz(func(t *testing.T, key, text string) {
		key, text = strings.ToValidUTF8(key, "?"), strings.ToValidUTF8(text, "?")
		if len(key) > keptBytes/4 || len(text) > keptBytes/4 {
			return
		}
		for _, c := range []codec{jsonCodec{}, v8Codec{}} {
			o, err := c.decode(c.encode(object{{key, text}}))
			if err != nil || o.text(key) != text {
				t.Fatalf("%T: %q became %q, %v", c, text, o.text(key), err)
			}
		}
	})
}
