package supervisor

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		deaths int
		spread float64
		want   time.Duration
	}{
		{"the first time at once", 1, 0.5, 0},
		{"then half a second", 2, 0, 500 * time.Millisecond},
		{"twice as long each time", 5, 0, 4 * time.Second},
		{"half a minute at most", 9, 0, 30 * time.Second},
		{"also after years", 1 << 30, 0, 30 * time.Second},
		{"up to a fifth less", 3, 1, 800 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := backoff(tt.deaths, tt.spread); got != tt.want {
				t.Errorf("backoff(%d, %v) = %v, want %v", tt.deaths, tt.spread, got, tt.want)
			}
		})
	}
}
