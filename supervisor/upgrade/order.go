package upgrade

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/stickyd/stickyd/supervisor/exact"
)

// envOrder is the variable in which one program tells the other what to do. It
// is taken out of the environment before main begins.
const envOrder = "STICKYD_UPGRADE"

// An order is what stands there, as JSON. Programs of other versions write and
// read it: fields are only added.
type order struct {
	PID      int              `json:"pid"`                // of the process that wrote it: who has it from elsewhere takes no notice
	Check    bool             `json:"check,omitempty"`    // only say whether you could
	State    int              `json:"state"`              // the state's descriptor
	Binary   exact.String     `json:"binary,omitempty"`   // the path of who reads this
	Old      int              `json:"old,omitempty"`      // descriptor of the program to return to; 0: none
	OldPath  exact.String     `json:"old_path,omitempty"` // where that was started from
	OldArgs  exact.Strings    `json:"old_args,omitempty"` // its own: a script may have given the new program others
	Name     string           `json:"name,omitempty"`     // that the process has, see restoreName
	Signals  []syscall.Signal `json:"signals,omitempty"`  // that were not acted on
	Spared   []syscall.Signal `json:"spared,omitempty"`   // that are ignored until the program listens, and else are not
	Returned string           `json:"returned,omitempty"` // why the new program gave up
}

// in returns env with this order and without an older one.
func (o order) in(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, envOrder+"=") })
	text, _ := json.Marshal(o) // can't fail: plain fields
	return append(env, envOrder+"="+string(text))
}

// takeOrder returns the order that this process was started with, nil if none,
// and removes it from the environment.
func takeOrder() *order {
	text, found := os.LookupEnv(envOrder)
	if !found {
		return nil
	}
	os.Unsetenv(envOrder)
	var o order
	if json.Unmarshal([]byte(text), &o) != nil {
		return nil
	}
	from := os.Getpid()
	if o.Check {
		from = os.Getppid()
	}
	if o.PID != from {
		return nil
	}
	return &o
}
