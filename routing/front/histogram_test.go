package front

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestHistogramCountsByLength(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 7 * time.Second, time.Minute, time.Minute + 1, time.Hour} {
		h.observe(d)
	}
	upTo, counts, sum := h.Snapshot()
	if len(counts) != len(upTo)+1 || !slices.IsSorted(upTo) || upTo[0] != 0.001 || upTo[len(upTo)-1] != 60 {
		t.Fatal(upTo, counts)
	}
	want := make([]uint64, len(counts))
	want[0], want[1] = 2, 1
	want[slices.Index(upTo, 10)] = 1
	want[len(want)-2], want[len(want)-1] = 1, 2
	if !slices.Equal(counts, want) {
		t.Errorf("counted %v, want %v", counts, want)
	}
	if got := 7 + 60 + 60 + 3600 + 0.002; sum < got-1e-6 || sum > got+1e-6 {
		t.Errorf("the sum is %v, want %v", sum, got)
	}
	if h.Count() != 7 {
		t.Errorf("%d in all", h.Count())
	}
}

func TestHistogramGoesFromOneToAnother(t *testing.T) {
	var old, heir Histogram
	old.observe(time.Second)
	heir.observe(time.Millisecond)
	heir.restore(throughJSON(t, old.state()))
	heir.restore(HistogramState{Counts: []uint64{1}, Sum: time.Hour}) // another program's
	if _, _, sum := heir.Snapshot(); heir.Count() != 2 || sum != 1.001 {
		t.Errorf("%d waits, %v s", heir.Count(), sum)
	}
}

func throughJSON[T any](t *testing.T, v T) (again T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}
