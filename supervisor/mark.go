package supervisor

import (
	"fmt"
	"math/rand/v2"

	"github.com/stickyd/stickyd/workerproto"
)

// A mark is what the processes of one worker are known by, after they have left
// its process group and session and after their parents are dead.
//
// Children inherit it in two places, since each of them can be lost:
//
//   - in a resource limit, RLIMIT_LOCKS, which Linux has not enforced since 2.4.25
//     (getrlimit(2)). What a program does to its memory, descriptors and environment
//     does not touch it, nor does setsid(2), exec or a change of user. But su(1) and
//     whatever else opens a PAM session may set all limits anew.
//   - in an environment variable. It is lost where a program writes over its
//     environment, as nginx does for its title, or starts others with a new one.
//
// A cgroup would be better than both: nobody leaves it without rights. But it is
// ours to make only where somebody has delegated one.
type mark struct {
	instance uint32 // tells one stickyd from another; 0: nobody's
	worker   uint32 // its incarnation
}

// instanceBits is how many bits of an instance there are: a limit with all of
// them is still far from RLIM_INFINITY, and no limit that anybody would set.
const (
	instanceBits = 30
	markedLimit  = 1 << 62
)

// newInstance returns a number that no other stickyd is likely to have.
func newInstance() uint32 { return 2 + rand.Uint32N(1<<instanceBits-2) }

// limit is the value of the resource limit.
func (m mark) limit() uint64 {
	return markedLimit | uint64(m.instance)<<32 | uint64(m.worker)
}

// markOfLimit undoes limit; zero for a limit that is no mark.
func markOfLimit(limit uint64) mark {
	if limit>>(32+instanceBits) != markedLimit>>(32+instanceBits) {
		return mark{}
	}
	return mark{uint32(limit>>32) & (1<<instanceBits - 1), uint32(limit)}
}

// env is the environment variable, as K=V.
func (m mark) env() string {
	return fmt.Sprintf("%s=%08x-%d", workerproto.EnvInstance, m.instance, m.worker)
}

// markOfEnv undoes env for the variable's value; zero for another's.
func markOfEnv(value string) (m mark) {
	if n, err := fmt.Sscanf(value, "%08x-%d", &m.instance, &m.worker); n != 2 || err != nil {
		return mark{}
	}
	return m
}

// markOf returns the mark of a worker's processes.
func (s *Supervisor) markOf(w *Worker) mark { return mark{s.instance, w.terms.Incarnation} }
