package supervisor

import (
	"bytes"
	"fmt"
	"os"
)

// describe returns what a process is.
func describe(pid int) program {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	p := program{pid: pid}
	for arg := range bytes.SplitSeq(bytes.TrimRight(cmdline, "\x00"), []byte{0}) {
		if len(p.args) < 2 && len(cmdline) > 0 {
			p.args = append(p.args, string(arg))
		}
	}
	p.name = programName(p.args, string(bytes.TrimSpace(command)))
	return p
}
