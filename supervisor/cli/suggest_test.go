package cli

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	tests := []struct{ name, word, want string }{
		{"letters swapped", "wrokers", "workers"},
		{"letter missing", "workrs", "workers"},
		{"dash for underscore", "head-timeout", "head_timeout"},
		{"capitals", "WORKERS", "workers"},
		{"nothing like it", "port", ""},
		{"too short to tell", "wo", ""},
		{"empty", "", ""},
		{"very long", strings.Repeat("workers", 1000), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Nearest(tt.word, []string{"window", "workers", "head_timeout"}); got != tt.want {
				t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}
