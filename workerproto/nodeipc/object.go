package nodeipc

// An object is a JavaScript object as the codecs write and read it: its members
// in order. Values are nil, bool, float64, string, []byte (a Buffer), object
// and []any; an encoder takes int as well. Whatever else a worker may send is
// read as opaque.
type object []member

type member struct {
	key   string
	value any
}

// opaque stands for a value that was passed over: of a type that means nothing
// to stickyd, too deep, or too long.
type opaque struct{}

// What of a message is read. The rest is only passed over, so that the cost of
// a large broadcast is its transport.
const (
	keptDepth   = 2       // objects in objects
	keptMembers = 1024    // of an object or array
	keptBytes   = 1 << 17 // of a string or Buffer
)

// get returns a member's value, nil if there is none. Of several the last
// counts, as in JavaScript.
func (o object) get(key string) any {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].key == key {
			return o[i].value
		}
	}
	return nil
}

// text returns a member that is a string, else "".
func (o object) text(key string) string {
	s, _ := o.get(key).(string)
	return s
}

// number returns a member that is a whole number.
func (o object) number(key string) (n int, ok bool) {
	f, ok := o.get(key).(float64)
	if n = int(f); !ok || float64(n) != f {
		return 0, false
	}
	return n, true
}

// inner returns a member that is an object, else an empty one.
func (o object) inner(key string) object {
	i, _ := o.get(key).(object)
	return i
}

// truth returns a member that is true or false, else false.
func (o object) truth(key string) bool {
	b, _ := o.get(key).(bool)
	return b
}
