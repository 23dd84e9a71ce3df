package routing

import (
	"fmt"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	r, _ := newRouter(t, "round-robin", 9, 0, nil)
	live, dead := join(r, 3, 7, 9), join(r, 4, 8, 9)
	died := time.Unix(1000, 0)
	r.Bind(live, []byte("live"))
	r.Bind(dead, []byte("dead"))
	r.Bind(live, []byte("over"))
	r.Unbind(live, []byte("over"))
	r.Remove(dead, died)
	never := Explanation{Lookup: Never}
	for _, tt := range []struct {
		id   string
		want Explanation
	}{
		{"live", Explanation{Found, 3, 7, live.incarnation, time.Time{}}},
		{"dead", Explanation{Dead, 4, 8, dead.incarnation, died}},
		{"over", never},
		{"stranger", never},
		{"", never},
	} {
		if got := r.Explain([]byte(tt.id)); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.id, got, tt.want)
		}
	}
	r.table.Sweep(died.Add(1))
	if got := r.Explain([]byte("dead")); got != never {
		t.Errorf("swept: %+v", got)
	}
}

func TestSweepSparesWhoDiedLater(t *testing.T) {
	table := NewTable(NewKey())
	early, late, live := table.Open(), table.Open(), table.Open()
	for i := range 100 {
		table.Bind(fmt.Append(nil, "early", i), early)
		table.Bind(fmt.Append(nil, "late", i), late)
		table.Bind(fmt.Append(nil, "live", i), live)
	}
	at := time.Unix(1000, 0)
	table.Kill(early, Death{At: at})
	table.Kill(late, Death{At: at.Add(time.Second)})
	if n := table.Sweep(at); n != 0 {
		t.Errorf("freed %d of one who did not die before", n)
	}
	if n := table.Sweep(at.Add(time.Second)); n != 100 {
		t.Errorf("freed %d, want the early one's", n)
	}
	if _, l, _ := table.trace(table.Key([]byte("late7"))); l != Dead {
		t.Error("lookup of who died later:", l)
	}
	if n := table.Sweep(at.Add(time.Hour)); n != 100 || table.Len() != 100 || len(*table.deaths.Load()) != 0 {
		t.Errorf("freed %d, left %d, %d deaths", n, table.Len(), len(*table.deaths.Load()))
	}
}

// Whoever crashes again and again is not remembered each time, and those that
// are forgotten leave nothing behind.
func TestDeathsAreBounded(t *testing.T) {
	table := NewTable(NewKey())
	at := time.Unix(1000, 0)
	const crashes = maxDeaths + 10
	for i := range crashes {
		in := table.Open()
		table.Bind(fmt.Append(nil, i), in)
		table.Kill(in, Death{At: at.Add(time.Duration(i))})
		table.Kill(table.Open(), Death{At: at.Add(time.Hour)}) // without a session
	}
	if n := len(*table.deaths.Load()); n != maxDeaths {
		t.Errorf("%d deaths are remembered, want %d", n, maxDeaths)
	}
	for id, want := range map[string]Lookup{"9": Never, "10": Dead, fmt.Sprint(crashes - 1): Dead} {
		if _, l, _ := table.trace(table.Key([]byte(id))); l != want {
			t.Errorf("%s: %d, want %d", id, l, want)
		}
	}
	if n := table.Sweep(at); n != 10 {
		t.Errorf("freed %d, want those of the forgotten", n)
	}
}
