// Package systemd tells the service manager how this service is doing, by
// sd_notify(3). Where none wants to know, it does nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A Manager is the service manager, or its absence. Its methods may be called
// from any goroutine.
type Manager struct {
	log   *slog.Logger
	every time.Duration // it wants a sign of life; 0: it does not

	mu    sync.Mutex
	ready bool
	said  string // the last status
}

// New returns the manager that the environment names.
func New(log *slog.Logger) (*Manager, error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("WATCHDOG_USEC and WATCHDOG_PID, from the service manager: %w", err)
	}
	return &Manager{log: log, every: every}, nil
}

// Present reports whether there is a manager.
func (m *Manager) Present() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

func (m *Manager) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Warn("the service manager can't be told", "state", state, "err", err)
	}
}

// Ready says that clients are served, once.
func (m *Manager) Ready() {
	m.mu.Lock()
	first := !m.ready
	m.ready = true
	m.mu.Unlock()
	if first {
		m.tell(daemon.SdNotifyReady)
	}
}

// Reloading says that the configuration is being read again. Whoever has asked
// the manager for that waits until done is called, whether it went well or not.
// Before Ready, nobody waits.
func (m *Manager) Reloading() (done func()) {
	m.mu.Lock()
	ready := m.ready
	m.mu.Unlock()
	if !ready || !m.Present() {
		return func() {}
	}
	m.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	return func() { m.tell(daemon.SdNotifyReady) }
}

// Stopping says that the end has begun and may take that long.
func (m *Manager) Stopping(limit time.Duration) {
	m.tell(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, limit.Microseconds()))
}

// status says in a line what is going on, if that has changed.
func (m *Manager) status(line string) {
	m.mu.Lock()
	changed := line != m.said
	m.said = line
	m.mu.Unlock()
	if changed {
		m.tell("STATUS=" + line)
	}
}

// statusPause is the time between two looks at the status.
const statusPause = 5 * time.Second

// Watch keeps the manager informed until ctx is done. alive must return true
// soon if everything that serves clients goes on; its context is done when that
// would come too late. Without a manager it only waits.
func (m *Manager) Watch(ctx context.Context, alive func(context.Context) bool, status func() string) {
	if !m.Present() {
		<-ctx.Done()
		return
	}
	look := time.NewTicker(statusPause)
	defer look.Stop()
	var beat <-chan time.Time
	if m.every > 0 {
		ticker := time.NewTicker(m.every / 2)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		m.status(status())
		select {
		case <-look.C:
		case <-beat:
			m.beat(ctx, alive)
		case <-ctx.Done():
			return
		}
	}
}

func (m *Manager) beat(ctx context.Context, alive func(context.Context) bool) {
	soon, cancel := context.WithTimeout(ctx, m.every/4)
	defer cancel()
	if alive(soon) {
		m.tell(daemon.SdNotifyWatchdog)
	} else if ctx.Err() == nil {
		m.log.Error("no sign of life for the service manager: something that serves clients does not go on", "watchdog", m.every)
	}
}
