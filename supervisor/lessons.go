package supervisor

import (
	"errors"
	"strings"
	"sync"

	"github.com/stickyd/stickyd/workerproto/nodeipc"
)

// Lessons are what workers of a launch have taught about how to start the next
// ones: what has to be in their environment can't be known before one has spoken.
// Methods may be called from any goroutine. JSON keeps them.
type Lessons struct {
	mu sync.Mutex

	JSON      bool // they can't read and write Node's other serialization
	NoPreload bool // the preload keeps them from starting
}

// learn changes lessons and reports whether that is news.
func (l *Lessons) learn(lesson *bool) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news = !*lesson
	*lesson = true
	return news
}

func (l *Lessons) knows(lesson *bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *lesson
}

// serialization is what Node workers of the launch are told to use.
func (l *Launch) serialization() nodeipc.Serialization {
	if l.Lessons.knows(&l.Lessons.JSON) {
		return nodeipc.JSON
	}
	return l.Serialization
}

// preloads reports whether Node workers of the launch get the preload.
func (l *Launch) preloads() bool {
	return l.Protocol != Native &&
		(l.Preload == PreloadOn || l.Preload == PreloadAuto && !l.Lessons.knows(&l.Lessons.NoPreload))
}

// learnFromLink notes what a conversation's end teaches, and reports whether the
// worker is to be started again because of it.
func (sl *slot) learnFromLink(err error) (again bool) {
	if !errors.Is(err, nodeipc.ErrSerialization) {
		return false
	}
	lessons := sl.launch.Lessons
	if lessons.learn(&lessons.JSON) {
		sl.w.log(sl.s.log).Info("the worker's runtime has another advanced serialization than Node: workers use JSON from now on",
			"serialization", sl.launch.Serialization)
	}
	return true
}

// learnFromDeath notes what a worker's death teaches, and reports whether another
// is to be started because of it, as if nothing had happened.
func (sl *slot) learnFromDeath() (again bool) {
	w := sl.w
	if sl.launch.Preload != PreloadAuto || w.preload == "" || !w.readyAt.IsZero() || w.fault != "" || helped(w.Link) {
		return false
	}
	lines := strings.Join(w.last.get(), "\n")
	if !strings.Contains(lines, w.preload) {
		return false
	}
	lessons := sl.launch.Lessons
	if lessons.learn(&lessons.NoPreload) {
		w.log(sl.s.log).Warn("Node could not load stickyd's preload: workers go on without it; requests may get the wrong worker where a server only listens, or sessions share a kept-alive connection",
			"preload", w.preload, "hint", "does it run under a permission model that denies this file? --node-preload off says that this is meant")
	}
	return true
}

// helped reports whether the preload, or the package, has said that it is there.
func helped(l Link) bool {
	node := asNode(l)
	return node != nil && node.Helped()
}
