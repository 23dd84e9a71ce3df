package supervisor

import (
	"log/slog"
	"testing"
	"time"
)

func TestDeathsOfOneThatIsHealthyDoNotCount(t *testing.T) {
	s := New(Spec{Workers: 2}, nil, slog.New(slog.DiscardHandler))
	now := time.Now()
	s.slots[0].status.Store(&SlotStatus{Slot: 1, State: "ready", Ready: now.Add(-backoffHealthy), Deaths: 3})
	s.slots[1].status.Store(&SlotStatus{Slot: 2, State: "ready", Ready: now, Deaths: 3})
	if all := s.Status(); all[0].Deaths != 0 || all[1].Deaths != 3 {
		t.Errorf("status %+v", all)
	}
}

func TestStatusBeforeAnythingRuns(t *testing.T) {
	for i, sl := range New(Spec{Workers: 3}, nil, slog.New(slog.DiscardHandler)).Status() {
		if sl.Slot != i+1 || sl.State != "waiting" || sl.PID != 0 || sl.Past != (Past{}) {
			t.Errorf("slot %d: %+v", i+1, sl)
		}
	}
}
