package nodeipc

import (
	"encoding/binary"
	"math"
	"unicode/utf16"
)

// v8Codec is V8's serialization format, version 15, behind a length of four
// bytes (src/objects/value-serializer.cc in V8; ChildProcessSerializer in
// Node's lib/internal/child_process/serialization.js). This file writes it,
// v8reader.go reads it.
type v8Codec struct{}

// A value starts with a tag.
const (
	v8Version     = 0xff // and the number of the version
	v8Padding     = 0x00
	v8Undefined   = '_'
	v8Null        = '0'
	v8True        = 'T'
	v8False       = 'F'
	v8Int32       = 'I' // zigzag
	v8Uint32      = 'U'
	v8Double      = 'N'
	v8BigInt      = 'Z'
	v8Latin1      = '"'
	v8UTF16       = 'c'
	v8UTF8        = 'S'
	v8Back        = '^' // an object that came before
	v8Object      = 'o'
	v8ObjectEnd   = '{'
	v8Dense       = 'A'
	v8DenseEnd    = '$'
	v8Hole        = '-'
	v8Sparse      = 'a'
	v8SparseEnd   = '@'
	v8Map         = ';'
	v8MapEnd      = ':'
	v8Set         = '\''
	v8SetEnd      = ','
	v8Date        = 'D'
	v8RegExp      = 'R'
	v8Error       = 'r'
	v8ErrorEnd    = '.'
	v8TrueObj     = 'y'
	v8FalseObj    = 'x'
	v8NumberObj   = 'n'
	v8BigIntObj   = 'z'
	v8StringObj   = 's'
	v8ArrayBuffer = 'B'
	v8Resizable   = '~'
	v8View        = 'V'
	v8Shared      = 'u'
	v8Host        = '\\' // Node's own
)

// What follows v8Host: an array view with its type, or a plain object.
const (
	v8HostView   = 0
	v8HostPlain  = 1
	v8ViewBuffer = 10
)

const (
	v8LengthSize = 4
	v8HeaderSize = v8LengthSize + 2
	v8Header     = "\xff\x0f"
)

func (v8Codec) frame(b []byte, _ int) (int, error) {
	if len(b) < v8LengthSize {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length > maxMessage {
		return 0, protocolErrorf("a message of %d bytes, more than %d", length, maxMessage)
	}
	if size := v8LengthSize + int(length); len(b) >= size {
		return size, nil
	}
	return 0, nil
}

func (v8Codec) encode(o object) []byte {
	w := v8Writer(append(make([]byte, v8LengthSize, 128), v8Header...))
	w.value(o)
	binary.BigEndian.PutUint32(w, uint32(len(w)-v8LengthSize))
	return w
}

// A v8Writer is a frame under construction.
type v8Writer []byte

func (w *v8Writer) tag(t byte)  { *w = append(*w, t) }
func (w *v8Writer) count(n int) { *w = binary.AppendUvarint(*w, uint64(n)) }
func (w *v8Writer) double(f float64) {
	w.tag(v8Double)
	*w = binary.LittleEndian.AppendUint64(*w, math.Float64bits(f))
}

func (w *v8Writer) value(value any) {
	switch v := value.(type) {
	case object:
		w.tag(v8Object)
		for _, m := range v {
			w.text(m.key)
			w.value(m.value)
		}
		w.tag(v8ObjectEnd)
		w.count(len(v))
	case []any:
		w.tag(v8Dense)
		w.count(len(v))
		for _, element := range v {
			w.value(element)
		}
		w.tag(v8DenseEnd)
		w.count(0) // members beside the elements
		w.count(len(v))
	case string:
		w.text(v)
	case []byte:
		*w = append(*w, v8Host, v8HostView, v8ViewBuffer)
		w.count(len(v))
		*w = append(*w, v...)
	case int:
		w.whole(v)
	case float64:
		w.double(v)
	case bool:
		if v {
			w.tag(v8True)
		} else {
			w.tag(v8False)
		}
	case nil:
		w.tag(v8Null)
	default:
		w.tag(v8Undefined)
	}
}

func (w *v8Writer) whole(n int) {
	if int(int32(n)) != n {
		w.double(float64(n))
		return
	}
	w.tag(v8Int32)
	*w = binary.AppendVarint(*w, int64(n)) // zigzag, as V8's
}

func (w *v8Writer) text(s string) {
	units := utf16.Encode([]rune(s))
	wide := false
	for _, u := range units {
		wide = wide || u > 0xff
	}
	if !wide {
		w.tag(v8Latin1)
		w.count(len(units))
		for _, u := range units {
			*w = append(*w, byte(u))
		}
		return
	}
	size := binary.PutUvarint(make([]byte, binary.MaxVarintLen64), uint64(2*len(units)))
	if (len(*w)-v8LengthSize+1+size)%2 != 0 {
		w.tag(v8Padding) // the units must be aligned, counted from the version
	}
	w.tag(v8UTF16)
	w.count(2 * len(units))
	for _, u := range units {
		*w = binary.LittleEndian.AppendUint16(*w, u)
	}
}
