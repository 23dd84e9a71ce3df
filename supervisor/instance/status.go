package instance

import (
	"os"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/admin"
)

// Explain says what is known of a session.
func (a *app) Explain(id []byte) admin.Explanation {
	e := a.router.Explain(id)
	out := admin.Explanation{Slot: e.Slot, Generation: e.Generation}
	switch e.Lookup {
	case routing.Found, routing.Rescued:
		out.State = admin.Owned
		for _, sl := range a.supervisor.Status() {
			if sl.Incarnation == uint32(e.Incarnation) {
				out.PID, out.WorkerSince = sl.PID, sl.Started
			}
		}
	case routing.Dead:
		out.State, out.DiedAt, out.PID = admin.Dead, e.Died, a.dead.pid(uint32(e.Incarnation))
	default:
		out.State = admin.Unknown
	}
	return out
}

// Status says what there is.
func (a *app) Status() admin.Status {
	lookups := a.router.Lookups()
	s := admin.Status{
		Version: a.program.Version, Revision: a.program.Revision, PID: os.Getpid(), Started: a.started, Stopping: a.phase.Load() == stopping,
		Operation: a.supervisor.Operation(), Generation: a.supervisor.Generation(),
		Sessions: a.table.Len(), SessionTableBytes: int64(a.table.Bytes()), Counters: a.counters(),
		Lookups: admin.Lookups{
			Owner: lookups.Found, Rescued: lookups.Rescued, DeadOwner: lookups.Dead, NeverSeen: lookups.Never,
			None: a.front.Stats.Without.Load(),
		},
		Hint: a.front.Hint(), Head: histogram(&a.front.Stats.HeadWait), Queue: histogram(&a.front.Stats.QueueWait),
	}
	for _, c := range a.front.Sources() {
		s.Sources = append(s.Sources, admin.Source{
			Source: c.Source, Carried: c.Found + c.Dead + c.Unknown, Found: c.Found, Dead: c.Dead, Unknown: c.Unknown,
		})
	}
	for _, addr := range a.doors.Addrs() {
		s.Listen = append(s.Listen, addr.String())
	}
	members := make(map[uint32]routing.MemberStatus)
	for _, m := range a.router.Members() {
		members[uint32(m.Incarnation)] = m
	}
	for _, sl := range a.supervisor.Status() {
		s.Workers = append(s.Workers, workerStatus(sl, members[sl.Incarnation]))
	}
	ends := a.supervisor.Ends()
	for _, o := range a.router.Outcomes() {
		s.Slots = append(s.Slots, admin.Slot{
			Slot: o.Slot, Handed: o.Handed, Returned: o.Returned, Rerouted: o.Rerouted, Ends: ends[o.Slot],
		})
	}
	return s
}

func histogram(h *front.Histogram) admin.Histogram {
	bounds, counts, sum := h.Snapshot()
	return admin.Histogram{Bounds: bounds, Counts: counts, Sum: sum}
}

func workerStatus(sl supervisor.SlotStatus, m routing.MemberStatus) admin.Worker {
	resident, cpu, _ := supervisor.ProcessUsage(sl.Server())
	return admin.Worker{
		Slot: sl.Slot, Generation: sl.Generation, State: sl.State, Why: sl.Why, OnTrial: sl.OnTrial, DrainsUntil: sl.Until,
		Since: sl.Since, PID: sl.PID, Started: sl.Started,
		Sessions: m.Sessions, Untaken: m.Untaken, Open: m.Open,
		Restarts: sl.Restarts, Crashes: sl.Crashes, Deaths: sl.Deaths, LastExit: sl.Cause, LastExitAt: sl.Died, Next: sl.Next,
		ResidentBytes: resident, CPUSeconds: cpu.Seconds(),
	}
}

func (a *app) counters() admin.Counters {
	s := &a.front.Stats
	return admin.Counters{
		Accepted: s.Accepted.Load(), Handed: s.Handed.Load(), Returned: s.Returned.Load(),
		Rerouted: s.Rerouted.Load(), Refused: s.Refused.Load(),
		Known: s.Known.Load(), Unknown: s.Unknown.Load(), Without: s.Without.Load(),
		Abandoned: s.Abandoned.Load(), Pauses: s.Pauses.Load(), Bound: a.router.Bound(),
		Upgrades: a.upgrades.Load(), Reloads: a.reloads.Load(),
	}
}
