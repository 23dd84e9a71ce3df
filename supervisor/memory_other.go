//go:build unix && !linux

package supervisor

import (
	"errors"
	"os/exec"
)

// A memoryLimit needs cgroups.
type memoryLimit struct{}

// CheckMemory returns an error if there is a limit.
func CheckMemory(bytes int64) error {
	if bytes != 0 {
		return errors.New("cannot limit the memory of workers: only Linux can")
	}
	return nil
}

func limitMemory(bytes int64) (*memoryLimit, error) { return nil, CheckMemory(bytes) }

func (*memoryLimit) join(*Worker, *exec.Cmd) (*memoryGroup, error) { return nil, nil }
func (*memoryLimit) close()                                        {}

type memoryGroup struct{}

// A MemoryState is nothing here.
type MemoryState struct{}

func (*memoryGroup) state() *MemoryState { return nil }
func (*MemoryState) group() *memoryGroup { return nil }
func (*memoryGroup) resume(*memoryLimit) {}
func (*memoryGroup) started()            {}
func (*memoryGroup) end() (cause string) { return "" }
func (*memoryGroup) remove()             {}
