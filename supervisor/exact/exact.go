// Package exact keeps through JSON what is not UTF-8. Arguments, variables and
// paths are bytes to the system, and encoding/json replaces those that are no
// text.
package exact

import (
	"encoding/json"
	"unicode/utf8"
)

// A String is put down as it is if it is UTF-8, else as {"base64": …}. Either
// is read.
type String string

// Strings are such strings.
type Strings []string

type bytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(s)) {
		return json.Marshal(string(s))
	}
	return json.Marshal(bytes{[]byte(s)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *String) UnmarshalJSON(text []byte) error {
	var b bytes
	if json.Unmarshal(text, &b) == nil && b.Base64 != nil {
		*s = String(b.Base64)
		return nil
	}
	return json.Unmarshal(text, (*string)(s))
}

// MarshalJSON implements json.Marshaler.
func (s Strings) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("null"), nil
	}
	list := make([]String, len(s))
	for i := range s {
		list[i] = String(s[i])
	}
	return json.Marshal(list)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Strings) UnmarshalJSON(text []byte) error {
	var list []String
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*s = nil
	if list != nil {
		*s = make(Strings, len(list))
	}
	for i := range list {
		(*s)[i] = string(list[i])
	}
	return nil
}
