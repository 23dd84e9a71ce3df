package exact

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestJSONKeepsEveryByte(t *testing.T) {
	type all struct {
		One  String
		List Strings
	}
	for _, tt := range []struct {
		name string
		in   all
		want string
	}{
		{"text stays readable", all{"grün", Strings{"a", ""}}, `{"One":"grün","List":["a",""]}`},
		{"bytes", all{"\xff", Strings{"a", "K=\xff\x00"}}, `{"One":{"base64":"/w=="},"List":["a",{"base64":"Sz3/AA=="}]}`},
		{"text that looks like it", all{`{"base64":"/w=="}`, nil}, `{"One":"{\"base64\":\"/w==\"}","List":null}`},
		{"nothing", all{"", Strings{}}, `{"One":"","List":[]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(tt.in)
			if err != nil || string(text) != tt.want {
				t.Errorf("written as %s (%v), want %s", text, err, tt.want)
			}
			var out all
			if err := json.Unmarshal(text, &out); err != nil || !reflect.DeepEqual(out, tt.in) {
				t.Errorf("read as %q (%v), want %q", out, err, tt.in)
			}
		})
	}
	var s String
	if err := json.Unmarshal([]byte("7"), &s); err == nil {
		t.Errorf("a number is read as %q", s)
	}
}
