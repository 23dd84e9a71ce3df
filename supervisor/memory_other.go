//go:build unix && !linux

package supervisor

import (
	"errors"
	"os/exec"
)

// A memoryLimit needs cgroups.
type memoryLimit struct{}

func limitMemory(bytes int64) (*memoryLimit, error) {
	if bytes != 0 {
		return nil, errors.New("cannot limit the memory of workers: only Linux can")
	}
	return nil, nil
}

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
