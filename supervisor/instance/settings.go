package instance

import (
	"syscall"

	"github.com/stickyd/stickyd/routing"
	"github.com/stickyd/stickyd/routing/front"
	"github.com/stickyd/stickyd/routing/session"
	"github.com/stickyd/stickyd/supervisor"
	"github.com/stickyd/stickyd/supervisor/config"
	"github.com/stickyd/stickyd/supervisor/logs"
	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// routes returns what the configuration says about where connections go.
func routes(c *config.Config) (session.Sources, routing.Balancer, error) {
	sources, err := session.Parse(c.Session)
	if err != nil {
		return sources, nil, &config.Error{Problems: []error{err}}
	}
	balancer, err := routing.NewBalancer(c.Balance)
	return sources, balancer, err
}

func frontConfig(c *config.Config, sources session.Sources) front.Config {
	return front.Config{
		Sessions: sources, Client: clientFrom[c.Balance], Trusted: c.TrustedProxies,
		HeadTimeout: c.HeadTimeout, HeadBytes: c.HeadBytes,
		ParkTimeout: c.ParkTimeout, QueueTimeout: c.QueueTimeout, MaxWaiting: c.MaxWaiting,
	}
}

func (a *app) specOf(c *config.Config, sources session.Sources) supervisor.Spec {
	return supervisor.Spec{
		Launch: launchOf(c, sources), Limits: limitsOf(c), Workers: c.Workers,
		Rolling:  a.router.PreferNewest,
		Loop:     a.loop,
		Memory:   c.WorkerMemory,
		Launcher: a.program.Launcher,
		Guardian: a.program.Guardian,
		Serves:   func(addr string) bool { return a.doors.Served(addr) || a.sockets.Serve(addr) },
		Places:   a.places,
		Preload:  a.preloadPath,
		Output: func(w *supervisor.Worker, stream logs.Stream, line []byte) {
			a.log.Line(w.Slot, w.PID, stream, line)
		},
		Started: func(w *supervisor.Worker) { a.log.Starting(w.Slot, w.PID) },
		Silent:  func(w *supervisor.Worker) { a.log.Ended(w.Slot, w.PID) },
	}
}

func launchOf(c *config.Config, sources session.Sources) supervisor.Launch {
	return supervisor.Launch{
		Argv: c.Command, Env: c.Env, Preload: supervisor.Preload(c.NodePreload), WaitReady: c.WaitReady,
		Protocol: supervisor.Protocol(c.Protocol), Serialization: nodeipc.Serialization(c.Serialization),
		Process: supervisor.ProcessSettings{User: c.User, Group: c.Group, OpenFiles: c.WorkerNoFile, Nice: c.WorkerNice},
		Window:  c.Window, Sessions: sources.Strings(),
	}
}

func limitsOf(c *config.Config) supervisor.Limits {
	return supervisor.Limits{
		StartTimeout: c.StartTimeout, MinReady: c.MinReady, HangTimeout: c.HangTimeout,
		DumpSignal: dumpSignals[c.DumpSignal], DumpGrace: c.DumpGrace,
		DrainTimeout: c.DrainTimeout, StopTimeout: c.StopTimeout,
		KeepTrying: c.OnCrashLoop == "keep",
		Recycling:  supervisor.Recycling{Age: c.RecycleAge, Connections: c.RecycleConnections, Memory: c.RecycleMemory},
		Parallel:   c.Parallel, MaxUnready: c.MaxUnready, MaxDraining: c.MaxDraining,
	}
}

var dumpSignals = map[string]syscall.Signal{
	"QUIT": syscall.SIGQUIT, "ABRT": syscall.SIGABRT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

var clientFrom = map[string]front.ClientFrom{
	"client-address": front.PeerAddress, "forwarded-for": front.ForwardedFor,
}
