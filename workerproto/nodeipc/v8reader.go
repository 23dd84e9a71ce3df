package nodeipc

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unicode/utf16"
)

// errV8 is returned for what v8Reader can't read: it is cut off, of an unknown
// type, or nested without end.
var errV8 = errors.New("cannot read this V8 value")

// v8Nesting bounds how deep values may be nested.
const v8Nesting = 1000

func (v8Codec) decode(frame []byte) (object, error) {
	if o, ok := v8Value(frame).(object); ok {
		return o, nil
	}
	return nil, errV8
}

func (v8Codec) text(frame []byte) (text string, ok bool) {
	text, ok = v8Value(frame).(string)
	return text, ok
}

// v8Value returns the value in a frame, opaque for what can't be read.
func v8Value(frame []byte) any {
	if len(frame) < v8HeaderSize || frame[v8LengthSize] != v8Version {
		return opaque{}
	}
	r := v8Reader{rest: frame[v8HeaderSize:]}
	value := r.value(1)
	if r.failed {
		return opaque{}
	}
	return value
}

// A v8Reader reads one value after the other. After the first failure it reads
// nothing any more.
type v8Reader struct {
	rest   []byte
	failed bool
}

func (r *v8Reader) fail() any {
	r.failed, r.rest = true, nil
	return opaque{}
}

func (r *v8Reader) count() int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > math.MaxUint32 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

// bytes returns the next n bytes.
func (r *v8Reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// tag returns the next tag, behind any padding, and 0 after a failure.
func (r *v8Reader) tag() byte {
	for len(r.rest) > 0 {
		t := r.rest[0]
		r.rest = r.rest[1:]
		if t != v8Padding {
			return t
		}
	}
	r.fail()
	return 0
}

// ends reports whether the next tag is end, and then passes it.
func (r *v8Reader) ends(end byte) bool {
	for len(r.rest) > 0 && r.rest[0] == v8Padding {
		r.rest = r.rest[1:]
	}
	if len(r.rest) == 0 {
		r.fail()
		return true
	}
	if r.rest[0] != end {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// value reads the next value. depth is 1 for the outermost.
func (r *v8Reader) value(depth int) any {
	if depth > v8Nesting {
		return r.fail()
	}
	switch t := r.tag(); t {
	case v8Undefined, v8Null:
		return nil
	case v8True, v8False:
		return t == v8True
	case v8Int32:
		n := r.count()
		return float64(int32(uint32(n)>>1) ^ -int32(n&1))
	case v8Uint32:
		return float64(r.count())
	case v8Double:
		return r.double()
	case v8Latin1, v8UTF16, v8UTF8:
		return r.text(t, depth)
	case v8Object:
		return r.object(depth)
	case v8Dense:
		return r.array(depth)
	case v8Host:
		return r.host(depth)
	default:
		r.pass(t, depth)
		return opaque{}
	}
}

func (r *v8Reader) double() any {
	b := r.bytes(8)
	if b == nil {
		return opaque{}
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// kept reports whether a string or Buffer that is so deep is worth a copy.
func kept(b []byte, depth int) bool { return len(b) <= keptBytes && depth <= keptDepth+1 }

func (r *v8Reader) text(encoding byte, depth int) any {
	b := r.bytes(r.count())
	if !kept(b, depth) {
		return opaque{}
	}
	switch encoding {
	case v8Latin1:
		return latin1(b)
	case v8UTF16:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units))
	}
	return string(b)
}

func latin1(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			runes := make([]rune, len(b))
			for i, c := range b {
				runes[i] = rune(c)
			}
			return string(runes)
		}
	}
	return string(b)
}

func (r *v8Reader) object(depth int) any {
	var o object
	r.members(v8ObjectEnd, depth, func(key, value any) {
		if depth > keptDepth || len(o) == keptMembers {
			return
		}
		switch k := key.(type) {
		case string:
			o = append(o, member{k, value})
		case float64: // an index
			o = append(o, member{strconv.FormatFloat(k, 'f', -1, 64), value})
		}
	})
	if depth > keptDepth {
		return opaque{}
	}
	return o
}

// members reads keys and values up to end and the count behind it.
func (r *v8Reader) members(end byte, depth int, each func(key, value any)) {
	for !r.ends(end) {
		key := r.value(depth + 1)
		each(key, r.value(depth+1))
	}
	r.count()
}

func nothing(_, _ any) {}

func (r *v8Reader) array(depth int) any {
	var a []any
	for n := r.count(); n > 0 && !r.failed; n-- {
		if len(r.rest) > 0 && r.rest[0] == v8Hole {
			r.rest = r.rest[1:]
			continue
		}
		if value := r.value(depth + 1); depth <= keptDepth && len(a) < keptMembers {
			a = append(a, value)
		}
	}
	r.members(v8DenseEnd, depth, nothing)
	r.count()
	if depth > keptDepth {
		return opaque{}
	}
	return a
}

// host reads what Node writes in place of array views and of objects that
// belong to no JavaScript class.
func (r *v8Reader) host(depth int) any {
	if kind := r.count(); kind != v8HostView {
		if kind != v8HostPlain {
			return r.fail()
		}
		return r.value(depth + 1)
	}
	r.count() // the type of the view
	b := r.bytes(r.count())
	if !kept(b, depth) {
		return opaque{}
	}
	return append([]byte{}, b...)
}

// pass passes over a value of a type that means nothing to stickyd.
func (r *v8Reader) pass(tag byte, depth int) {
	switch tag {
	case v8TrueObj, v8FalseObj:
	case v8Date, v8NumberObj:
		r.bytes(8)
	case v8BigInt, v8BigIntObj:
		r.bytes(r.count() >> 1) // the lowest bit is the sign
	case v8Back, v8Shared:
		r.count()
	case v8StringObj:
		r.value(depth + 1)
	case v8RegExp:
		r.value(depth + 1)
		r.count()
	case v8Map:
		r.members(v8MapEnd, depth, nothing)
	case v8Set:
		for !r.ends(v8SetEnd) {
			r.value(depth + 1)
		}
		r.count()
	case v8Sparse:
		r.count()
		r.members(v8SparseEnd, depth, nothing)
		r.count()
	case v8Error:
		r.passError(depth)
	case v8ArrayBuffer:
		r.bytes(r.count())
		r.passView()
	case v8Resizable:
		n := r.count()
		r.count() // how far it may grow
		r.bytes(n)
		r.passView()
	default:
		r.fail()
	}
}

// passError passes over an Error: its class, message, stack and cause, each
// behind a tag of its own.
func (r *v8Reader) passError(depth int) {
	for !r.failed {
		switch r.tag() {
		case 'E', 'R', 'F', 'S', 'T', 'U': // the class
		case 'm', 's', 'c':
			r.value(depth + 1)
		case v8ErrorEnd:
			return
		default:
			r.fail()
		}
	}
}

// passView passes over the view that may follow an ArrayBuffer.
func (r *v8Reader) passView() {
	if len(r.rest) == 0 || r.rest[0] != v8View {
		return
	}
	for range 5 { // tag, type, offset, length, flags
		r.count()
	}
}
