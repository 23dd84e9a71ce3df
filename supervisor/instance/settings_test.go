package instance

import (
	"reflect"
	"testing"

	"github.com/stickyd/stickyd/supervisor/config"
)

// No limit that can be configured is left out on its way to the supervisor.
func TestLimitsAreAllConfigured(t *testing.T) {
	c := config.Config{DumpSignal: "QUIT", OnCrashLoop: "keep"}
	for v, i := reflect.ValueOf(&c).Elem(), 0; i < v.NumField(); i++ {
		if f := v.Field(i); f.CanInt() {
			f.SetInt(1)
		}
	}
	limits := reflect.ValueOf(limitsOf(&c))
	for _, f := range reflect.VisibleFields(limits.Type()) {
		if limits.FieldByIndex(f.Index).IsZero() {
			t.Errorf("%s is not set", f.Name)
		}
	}
}
