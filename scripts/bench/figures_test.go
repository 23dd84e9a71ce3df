package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestPercentilesAreRightToTwoPercent(t *testing.T) {
	var h histogram
	if h.percentile(99) != 0 {
		t.Error("percentile of nothing")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for p, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 90: 900 * time.Millisecond, 99: 990 * time.Millisecond, 100: time.Second} {
		if got := h.percentile(p); got < want || float64(got) > 1.02*float64(want) {
			t.Errorf("p%v = %v, want %v", p, got, want)
		}
	}
}

func TestBucketsHaveNoGaps(t *testing.T) {
	for d := time.Duration(0); d < time.Hour; d += d/100 + 1 {
		i := bucket(d)
		if bucketTop(i) < d || bucket(bucketTop(i)) != i || bucket(bucketTop(i)+1) != i+1 {
			t.Fatalf("%d is in bucket %d, which ends at %d", d, i, bucketTop(i))
		}
	}
}

func TestBucketsHoldEveryDuration(t *testing.T) {
	var h histogram
	h.add(math.MaxInt64)
	h.add(-1)
	if h.percentile(100) != math.MaxInt64 || h.percentile(1) != 0 {
		t.Error("the longest or the shortest is lost")
	}
}

func TestSpread(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{5, 1, 3}, spread{3, 1, 5}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
		{[]float64{nan, 7, nan}, spread{7, 7, 7}},
	} {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("spread of %v = %v", tt.values, got)
		}
	}
	if s := spreadOf(nil); !math.IsNaN(s.Median) {
		t.Errorf("spread of nothing = %v", s)
	}
}

func someResults() *results {
	r := &results{}
	for round := 1; round <= 3; round++ {
		n := float64(round)
		r.Measurements = append(r.Measurements,
			measurement{Front: "stickyd", Load: "new", Round: round, PerSecond: 200 * n, FrontCPU: 10 * n, GenCPU: 20 * n, Requests: 10, Checked: 10},
			measurement{Front: loopKey, Load: "new", Round: round, PerSecond: 400 * n, FrontCPU: 5 * n, GenCPU: 20 * n, Requests: 10, Checked: 5, Wrong: 1, Failed: 2},
			measurement{Front: primaryKey, Load: "new", Round: round, PerSecond: 100 * n, FrontCPU: 40 * n, GenCPU: 20 * n})
	}
	return r
}

// A machine that gets slower from round to round changes no ratio.
func TestRatiosAreWithinRounds(t *testing.T) {
	r := someResults()
	if got := r.ratio("stickyd", loopKey, "new", frontCPU); got != (spread{2, 2, 2}) {
		t.Error("ratio to the C loop:", got)
	}
	if got := r.ratio("stickyd", "nobody", "new", frontCPU); !math.IsNaN(got.Median) {
		t.Error("ratio to what was not measured:", got)
	}
}

func TestTable(t *testing.T) {
	var s strings.Builder
	someResults().table(&s, []label{{key: "new", name: "new connections"}, {key: "kept"}}, []label{{key: "stickyd", name: "stickyd"}, {key: loopKey, name: "C loop"}})
	for _, want := range []string{
		"| new connections | stickyd | 400 (200–600) | – | 20.0 (10.0–30.0) | 2.00 | 0.25 | 0.50 |",
		"| new connections | C loop | 800 (400–1200) | – | 10.0 (5.0–15.0) | 1.00 | 0.12 | 0.25 |",
		"| 3 (20 %) | 6 |",
	} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("no %q in\n%s", want, &s)
		}
	}
	columns := strings.Count(tableHead[:strings.Index(tableHead, "\n")], "|")
	for line := range strings.Lines(s.String()) {
		if strings.Count(line, "|") != columns {
			t.Errorf("not %d columns: %s", columns, line)
		}
	}
}

func TestExpectationsSayWhatIsMissed(t *testing.T) {
	var s strings.Builder
	fronts := []label{{key: "stickyd", name: "stickyd", peer: primaryKey}, {key: loopKey, name: "C loop", peer: primaryKey}, {key: primaryKey, peer: primaryKey}}
	someResults().expectations(&s, []label{{key: "new", name: "new connections"}}, fronts)
	for _, want := range []string{"stickyd: 2.00 (2.00–2.00) times the Node primary's requests/s; expected at least 2.00: met.", "0.25 (0.25–0.25)"} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("no %q in\n%s", want, &s)
		}
	}
	if n := strings.Count(s.String(), "\n"); n != 4 {
		t.Errorf("%d sentences\n%s", n, &s)
	}
}

func TestTroublesSayHowManyAndWhy(t *testing.T) {
	r := &results{Measurements: []measurement{
		{Front: "stickyd", Load: "kept", Round: 1, Requests: 98, Failed: 2, Error: "connection refused"},
		{Front: primaryKey, Load: "kept", Round: 1, Requests: 100, Reconnects: 100},
		{Front: loopKey, Load: "kept", Round: 1, Requests: 100},
	}}
	var s strings.Builder
	r.troubles(&s, []label{{key: "kept", name: "kept alive"}}, []label{{key: "stickyd", name: "stickyd"}, {key: primaryKey, name: "Node"}, {key: loopKey, name: "C"}})
	want := "* kept alive, stickyd: 2 (2 %) of the requests failed; the first: connection refused.\n" +
		"* kept alive, Node: the connection was closed after 100 (100 %) of the answers.\n"
	if s.String() != want {
		t.Errorf("%s, want\n%s", &s, want)
	}
}

func TestChartIsWellFormed(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(chart([]bar{{"slow & <old>", 120}, {"stickyd", 20}})))
	var words []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			words = append(words, string(text))
		}
	}
	all := strings.Join(words, "|")
	if quick, slow := strings.Index(all, "stickyd"), strings.Index(all, "slow & <old>"); quick < 0 || slow < quick {
		t.Error("not the cheapest first:", all)
	}
}

func TestPaceMakesUpForAStall(t *testing.T) {
	p := pace{rate: 100, end: time.Second}
	if _, ok := p.next(0); !ok {
		t.Error("the first is not due at once")
	}
	if due, ok := p.next(0); ok || due != 10*time.Millisecond {
		t.Error("the second is due at", due, ok)
	}
	n := 1
	for {
		due, ok := p.next(time.Minute)
		if !ok {
			break
		}
		if due != time.Duration(n)*10*time.Millisecond {
			t.Errorf("number %d is due at %v", n, due)
		}
		n++
	}
	if n != 100 || p.left() != 0 {
		t.Errorf("%d requests in a second, %d are left", n, p.left())
	}
}

func TestPaceKnowsWhatIsLeft(t *testing.T) {
	if n := (&pace{}).left(); n != 0 {
		t.Errorf("without a rate %d are left", n)
	}
	for _, rate := range []int{3, 7, 700, 99_999} {
		p := pace{rate: rate, end: 300 * time.Millisecond}
		for p.left() > 0 {
			if due, ok := p.next(time.Minute); !ok || due >= p.end {
				t.Fatalf("at %d/s: %d are left, but the next is due at %v", rate, p.left(), due)
			}
		}
	}
	p := pace{rate: 30, end: 50 * time.Millisecond}
	p.next(0)
	if n := p.giveUp(); n != 1 || p.left() != 0 {
		t.Errorf("gave up %d, %d are left", n, p.left())
	}
}

func TestSessionsTakeTurns(t *testing.T) {
	var got string
	for _, s := range takeTurns([]session{{Worker: "a"}, {Worker: "a"}, {Worker: "a"}, {Worker: "b"}, {Worker: "b"}}) {
		got += s.Worker
	}
	if got != "ababa" {
		t.Error(got)
	}
}
