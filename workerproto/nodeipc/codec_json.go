package nodeipc

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// jsonCodec is one JSON value a line.
type jsonCodec struct{}

func (jsonCodec) frame(b []byte, searched int) (int, error) {
	if i := bytes.IndexByte(b[searched:], '\n'); i >= 0 {
		return searched + i + 1, nil
	}
	if len(b) > maxMessage {
		return 0, protocolErrorf("a message of more than %d bytes", maxMessage)
	}
	return 0, nil
}

func (jsonCodec) decode(frame []byte) (object, error) { return jsonObject(withoutMark(frame), 1) }

func (jsonCodec) text(frame []byte) (text string, ok bool) {
	return text, json.Unmarshal(frame, &text) == nil
}

// withoutMark is a frame without what marks it as no application's.
func withoutMark(frame []byte) []byte {
	if len(frame) > 0 && frame[0] == BunJSON {
		return frame[1:]
	}
	return frame
}

// jsonObject reads an object that is so deep.
func jsonObject(text []byte, depth int) (object, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	o := make(object, 0, min(len(raw), keptMembers))
	for key, value := range raw {
		if len(o) == keptMembers {
			break
		}
		o = append(o, member{key, jsonValue(value, depth)})
	}
	return o, nil
}

// jsonValue reads a member of an object or array that is so deep. text is
// valid JSON.
func jsonValue(text []byte, depth int) (value any) {
	switch {
	case text[0] == '{':
		if depth == keptDepth {
			return opaque{}
		}
		o, _ := jsonObject(text, depth+1)
		return o
	case text[0] == '[':
		if depth == keptDepth {
			return opaque{}
		}
		return jsonArray(text, depth+1)
	case len(text) > keptBytes:
		return opaque{}
	}
	if json.Unmarshal(text, &value) != nil { // a number that float64 can't hold
		return opaque{}
	}
	return value
}

func jsonArray(text []byte, depth int) []any {
	var raw []json.RawMessage
	json.Unmarshal(text, &raw)
	array := make([]any, 0, min(len(raw), keptMembers))
	for _, value := range raw[:min(len(raw), keptMembers)] {
		array = append(array, jsonValue(value, depth))
	}
	return array
}

func (jsonCodec) encode(o object) []byte { return append(appendJSON(nil, o), '\n') }

func appendJSON(b []byte, value any) []byte {
	switch v := value.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, m.key), ':')
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, element)
		}
		return append(b, ']')
	case []byte:
		return appendJSONBuffer(b, v)
	}
	text, err := json.Marshal(value)
	if err != nil { // NaN, an infinity or opaque: null, as in JSON.stringify
		return append(b, "null"...)
	}
	return append(b, text...)
}

// appendJSONBuffer writes what a Buffer's toJSON returns, and Buffer.from takes.
func appendJSONBuffer(b, content []byte) []byte {
	b = append(b, `{"type":"Buffer","data":[`...)
	for i, c := range content {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(c), 10)
	}
	return append(b, "]}"...)
}
