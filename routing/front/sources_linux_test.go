package front

import (
	"slices"
	"testing"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/session"
)

// What has come of the ids in one place is counted across changes of the
// configuration that keep it, and in another program.
func TestCountsOfASourceGoOn(t *testing.T) {
	look := func(f *Front, specs ...string) {
		t.Helper()
		sources, err := session.Parse(specs)
		if err != nil {
			t.Fatal(err)
		}
		c := f.settings.Load().Config
		c.Sessions = sources
		f.SetConfig(c)
	}
	expect := func(f *Front, want ...SourceCounts) {
		t.Helper()
		if got := f.Sources(); !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	f, _ := newFront(t)
	look(f, "header:A", "query:sid", "query:sid")
	sid := f.settings.Load().sources[2]
	for _, l := range []routing.Lookup{routing.Found, routing.Rescued, routing.Dead, routing.Never, routing.Never, routing.Never} {
		sid.count(l)
	}
	(*source)(nil).count(routing.NoID)
	counts := SourceCounts{"query:sid", 2, 1, 3}
	expect(f, SourceCounts{Source: "header:A"}, counts)
	look(f, "query:sid", "cookie:b")
	expect(f, counts, SourceCounts{Source: "cookie:b"})
	f.Freeze()
	heir, _ := newFront(t)
	heir.Resume(throughJSON(t, f.State()), nil)
	expect(heir, counts)
	look(heir, "none")
	expect(heir)
}
