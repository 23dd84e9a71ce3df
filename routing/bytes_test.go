package routing

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// What Bytes says is near to what the heap grows by.
func TestBytesIsWhatTheTableTakes(t *testing.T) {
	buf := make([]byte, 0, 20)
	for _, sessions := range []int{20_000, 200_000, 1_000_000} {
		t.Run(fmt.Sprint(sessions), func(t *testing.T) {
			runtime.GC() // what it finds in pools is garbage for the next one
			before := heap()
			table := NewTable(NewKey())
			dead, live := table.Open(), table.Open()
			for i := range sessions {
				table.Bind(benchID(buf, i), []Incarnation{dead, live}[i%2])
			}
			check := func(what string) {
				t.Helper()
				took, said := int(heap()-before), table.Bytes()
				if said < took*9/10 || said > took*11/10 {
					t.Errorf("%s it takes %d bytes and said %d", what, took, said)
				}
			}
			check("filled")
			for i := range sessions {
				table.Unbind(benchID(buf, i), live)
			}
			for i := range sessions / 16 {
				table.Bind(benchID(buf, -1-i), live)
			}
			check("with few left")
			table.Kill(dead, Death{})
			table.Sweep(time.Now())
			check("swept")
			runtime.KeepAlive(table)
		})
	}
}

func BenchmarkBytes(b *testing.B) {
	table, _ := benchTable()
	for b.Loop() {
		table.Bytes()
	}
}
